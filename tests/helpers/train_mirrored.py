"""Train flows under MirroredStrategy on two logical CPUs and on one device; say EQUAL if equal."""

import contextlib
import sys

import keras
import numpy as np
import tensorflow as tf

import tfflows
from tfflows.models import RealNVP
from tfflows.testing import randomize

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def train(scope, normalization, weighted, **clipping):
    x = tfflows.datasets.sample_toy("moons", 256, 0)
    weight = np.random.default_rng(0).uniform(0, 2, 256).astype("float32") if weighted else None
    with scope:
        flow = randomize(RealNVP((2,), 2, (16,), normalization=normalization))
        flow.compile(keras.optimizers.SGD(1e-2, **clipping))
    history = flow.fit(
        x, batch_size=64, epochs=2, shuffle=False, verbose=0, sample_weight=weight,
        validation_data=(x,),
    ).history  # fmt: skip
    log_prob = np.asarray(flow.log_prob(x))
    return [history["loss"], history["nll"], history["val_nll"], log_prob]


def compare(normalization, weighted, **clipping):
    one = train(contextlib.nullcontext(), normalization, weighted, **clipping)
    two = train(STRATEGY.scope(), normalization, weighted, **clipping)
    # Running statistics of replicas are means of half batches: equal in the mean, not the variance.
    tolerance = 1e-5 if normalization == "actnorm" else 0.02
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def an_empty_replica_is_no_divergence():
    x = tfflows.datasets.sample_toy("moons", 33, 0)
    with STRATEGY.scope():
        flow = randomize(RealNVP((2,), 1, (4,)))
        flow.compile("adam")
    history = flow.fit(x, batch_size=32, verbose=0, validation_data=(x,)).history
    assert np.isfinite([history["nll"], history["val_nll"]]).all(), history


def replicas_draw_different_noise():
    with STRATEGY.scope():
        layer = tfflows.layers.Dequantize(2, seed=0)
        layer.build((None, 4))

    @tf.function
    def step():
        return STRATEGY.run(lambda: layer(tf.zeros((8, 4)), training=True))

    first, second = STRATEGY.experimental_local_results(step())
    assert np.abs(first.numpy() - second.numpy()).max() > 0.01


compare("actnorm", weighted=True, clipnorm=0.05)
compare("batch_norm", weighted=False)
an_empty_replica_is_no_divergence()
replicas_draw_different_noise()
sys.stdout.write("EQUAL\n")
