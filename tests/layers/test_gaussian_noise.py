"""Gaussian noise on levels: how wide it is, when it repeats, what its density is of."""

import numpy as np
import pytest
import scipy.stats
from keras import ops

import tfflows
from tfflows.layers import GaussianNoise


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def noise_of(layer, x, training=False):
    z = numpy(layer.forward_and_log_det(x, training=training)[0])
    return (z - (2 * x.astype("float64") / (layer.levels - 1) - 1)) / layer.noise


def test_noise_is_normal_and_a_rows_own():
    x = np.random.default_rng(0).integers(0, 256, (400, 5, 5, 1)).astype("float32")
    layer = GaussianNoise(0.05)
    noise = noise_of(layer, x)
    assert scipy.stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    np.testing.assert_allclose(noise_of(layer, x[7:9]), noise[7:9], atol=1e-4)
    np.testing.assert_array_equal(layer(x.astype("uint8")), layer(x))


def test_training_noise_is_fresh_each_call():
    x = np.zeros((500, 4), "float32")
    layer = GaussianNoise(0.1, levels=2, seed=0)
    first, second = noise_of(layer, x, True), noise_of(layer, x, True)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    assert scipy.stats.kstest(first.ravel(), "norm").pvalue > 1e-3


def test_levels_come_back_where_the_noise_is_below_half_of_one():
    x = np.tile(np.arange(17, dtype="float32"), (64, 3))
    layer = GaussianNoise(0.01, levels=17)  # 1/16 is half a level, more than six deviations
    for training in (True, False):
        z = layer.forward_and_log_det(x, training=training)[0]
        np.testing.assert_array_equal(layer.inverse(z), x)
    np.testing.assert_array_equal(layer.inverse(np.full((1, 51), 1.4, "float32")), 16 + 0 * x[:1])
    np.testing.assert_array_equal(layer.inverse(np.full((1, 51), -1.4, "float32")), 0 * x[:1])


def test_the_density_is_that_of_noisy_data_in_their_units():
    flow = tfflows.Flow([GaussianNoise(0.2, levels=5)], (3,))
    x = np.random.default_rng(0).integers(0, 5, (10, 3)).astype("float32")
    z = numpy(flow.encode(x))
    noisy = numpy(flow.first_layer.unscale(z))
    assert np.abs(noisy - x).max() > 0.5
    wanted = scipy.stats.norm(2, 2).logpdf(noisy).sum(axis=1)  # z of 0 is level 2, of 1 level 4
    np.testing.assert_allclose(flow.log_prob(x), wanted, rtol=1e-5)
    np.testing.assert_allclose(flow.first_layer.scale(noisy), z, atol=1e-6)


@pytest.mark.parametrize("wrong", [-1.0, 5.0, 2.5])
def test_what_is_no_level_has_no_density(wrong):
    _, log_det = GaussianNoise(0.1, levels=5).forward_and_log_det(np.full((2, 3), wrong, "float32"))
    assert np.isnan(numpy(log_det)).all()


@pytest.mark.parametrize("noise", [0.0, -0.1, float("inf"), float("nan")])
def test_noise_must_be_positive(noise):
    with pytest.raises(ValueError, match="noise must be finite and above 0"):
        GaussianNoise(noise)
