"""Prints the losses of a training on eight virtual devices of JAX, and on one.

Run as a process: the number of devices is set before JAX is imported.
"""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
)

import keras
import numpy as np

import tfflows
from tfflows import layers, networks

X = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")


def losses(distribution, steps):
    """Losses of a flow that is trained, averaged, evaluated and trained on."""
    keras.utils.set_random_seed(0)
    keras.distribution.set_distribution(distribution)
    flow = tfflows.Flow([layers.AffineCoupling(conditioner=networks.MLP((3,)))], (2,))
    flow.compile(keras.optimizers.Adam(0.1, use_ema=True), steps_per_execution=steps)
    first = flow.fit(X, batch_size=16, epochs=2, verbose=0, validation_data=X).history
    flow.optimizer.finalize_variable_values(flow.trainable_variables)
    evaluated = flow.evaluate(X, verbose=0, return_dict=True)
    second = flow.fit(X, batch_size=16, epochs=2, verbose=0).history
    return [*first["loss"], *first["val_nll"], evaluated["nll"], *second["loss"]]


if __name__ == "__main__":
    one = losses(None, 3)
    eight = {steps: losses(keras.distribution.DataParallel(), steps) for steps in (1, 3, "auto")}
    sys.stdout.write(json.dumps({"one": one, "eight": list(eight.values())}))
