"""Dequantization noise: when it is fresh, when it repeats, and what it bounds."""

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops
from marks import needs_tensorflow

import tfflows
from tfflows.layers import Dequantize, Logit


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def noise_of(layer, x, training=False):
    return numpy(layer(x, training=training)) * layer.levels - x


def test_noise_is_uniform_and_a_rows_own():
    x = np.random.default_rng(0).integers(0, 256, (400, 5, 5, 1)).astype("float32")
    layer = Dequantize(256)
    noise = noise_of(layer, x)
    assert scipy.stats.kstest(noise.ravel(), "uniform").pvalue > 1e-3
    np.testing.assert_allclose(noise_of(layer, x[7:9]), noise[7:9], atol=1e-4)
    np.testing.assert_array_equal(layer(x.astype("uint8")), layer(x))


def test_training_noise_is_fresh_each_call():
    x = np.zeros((50, 4), "float32")
    layer = Dequantize(2, seed=0)
    first, second = noise_of(layer, x, True), noise_of(layer, x, True)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.3
    assert scipy.stats.kstest(first.ravel(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("levels", [256, 65536])
def test_rounding_is_exact_for_every_level(levels):
    x = np.tile(np.arange(levels - 256, levels, dtype="float32"), (64, 1))
    layer = Dequantize(levels)
    for training in (True, False):
        z = layer.forward_and_log_det(x, training=training)[0]
        np.testing.assert_array_equal(layer.inverse(z), x)


def test_the_uniform_model_has_log_levels_nats_a_dim():
    flow = tfflows.Flow([Dequantize(256)], (4,), base=UniformBase())
    x = np.random.default_rng(0).integers(0, 256, (10, 4))
    np.testing.assert_allclose(flow.log_prob(x), -4 * np.log(256), rtol=1e-6)
    flow.compile("sgd")
    assert abs(flow.evaluate(x, verbose=0, return_dict=True)["bits_per_dim"] - 8) < 1e-4


class UniformBase(tfflows.distributions.Distribution):
    def _log_prob(self, z, condition):
        return ops.zeros((ops.shape(z)[0],))


def test_values_out_of_range_have_no_density():
    cases = [(Dequantize(8), 8.0), (Dequantize(8), -1.0), (Dequantize(8), 2.5), (Logit(1e-6), 1.5)]
    for layer, wrong in cases:
        _, log_det = layer.forward_and_log_det(np.full((2, 3), wrong, "float32"))
        assert np.isnan(numpy(log_det)).all()


@needs_tensorflow
def test_fresh_noise_under_fit_differs_by_step():
    seen = []

    class Spy(Dequantize):
        def _uniform(self, x, training, draw):
            noise = super()._uniform(x, training, draw)
            if training:
                import tensorflow as tf

                tf.py_function(lambda n: seen.append(n.numpy().ravel()[0]), [noise], [])
            return noise

    flow = tfflows.Flow([Spy(4), tfflows.layers.DiagonalScaling()], (2,))
    flow.compile(keras.optimizers.SGD(0.1))
    flow.fit(np.ones((40, 2)), batch_size=4, epochs=2, verbose=0)
    assert len(set(seen)) == 20
