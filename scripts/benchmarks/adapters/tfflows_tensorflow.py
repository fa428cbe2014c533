"""tfflows on TensorFlow: `fit` over an array, XLA by `compile(jit_compile=True)`, and without.

The bare train step is the model's own `train_step` in a `tf.function`, in a loop on one batch.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import tensorflow as tf

from benchmarks.adapters._tfflows import make_realnvp, make_subject

REQUIREMENTS = ["--editable", ".[jax]"]
GROUP = "tensorflow"
MODES = ["XLA", "graph", "XLA, single steps"]


def build_realnvp(case, mode, x):
    """`tfflows.models.RealNVP` without normalization."""
    flow = make_realnvp(case, mode)
    first = tf.constant(x[: case.batch_size])
    train_step = tf.function(flow.train_step, jit_compile=flow.jit_compile)

    def bare_train(steps):
        for _ in range(steps):
            logs = train_step((first,))
        logs["loss"].numpy()

    return make_subject(flow, bare_train, case, x)
