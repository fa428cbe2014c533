"""Layers that are told how noisy their data are."""

import keras
import numpy as np
import pytest
from keras import ops

import tfflows
from tfflows import layers

LOW, HIGH = 0.1, 2.0


class Told(layers.ConditionalAffine):
    """Keeps the x and the condition that it was given."""

    def _forward(self, x, condition=None, training=False):
        self.seen = x, condition
        return super()._forward(x, condition, training)


def test_training_adds_as_much_noise_as_the_condition_says():
    told = Told()
    layer = layers.NoiseConditional([told], LOW, HIGH, seed=0)
    x = np.full((20_000, 3), 7.0, "float32")
    layer.forward_and_log_det(x, training=True)
    noisy, place = map(ops.convert_to_numpy, told.seen)
    assert place.shape == (20_000, 1)
    # Log-uniform scales: the place between the logs of both is uniform from -1 to 1.
    np.testing.assert_allclose(np.quantile(place, [0.1, 0.5, 0.9]), [-0.8, 0, 0.8], atol=0.03)
    scale = LOW * (HIGH / LOW) ** ((place + 1) / 2)
    standard = (noisy - x) / scale
    np.testing.assert_allclose(standard.mean(), 0, atol=0.02)
    for part in (place < -0.5, place > 0.5):
        np.testing.assert_allclose(standard[part[:, 0]].std(), 1, rtol=0.02)


def test_otherwise_there_is_no_noise_and_the_scale_is_the_smallest():
    told = Told()
    layer = layers.NoiseConditional([told], LOW, HIGH, seed=0)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    layer(x)
    seen, place = map(ops.convert_to_numpy, told.seen)
    np.testing.assert_array_equal(seen, x)
    np.testing.assert_array_equal(place, -np.ones((4, 1)))


@pytest.mark.slow
def test_one_point_becomes_a_normal_distribution_of_the_smallest_scale():
    """All rows are zero: with noise they are N(0, scale^2), which one affine map makes standard."""
    layer = layers.NoiseConditional([layers.ConditionalAffine("soft_clip")], 0.5, 2.0, seed=0)
    flow = tfflows.Flow([layer], (1,))
    flow.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.05, 400)))
    flow.fit(np.zeros((2_048, 1), "float32"), epochs=400, batch_size=2_048, verbose=0)
    x = np.array([[0.0], [0.5], [-1.0]], "float32")
    wanted = -0.5 * (x[:, 0] / 0.5) ** 2 - np.log(0.5 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(flow.log_prob(x), wanted, atol=0.1)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"Expected 0 < low < high. Received: low=1"):
        layers.NoiseConditional([], 1.0, 0.5)
    with pytest.raises(ValueError, match=r"layers must be flow layers. Received: 3"):
        layers.NoiseConditional([3])
    with pytest.raises(ValueError, match=r"scale must be positive. Received: 0"):
        layers.Arcsinh(0)
