"""Learned dequantization noise: a density, a bound, and the bound of many draws."""

import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from scipy.special import expit

import tfflows
from tfflows.layers import (
    ConditionalAffine,
    Dequantize,
    DiagonalScaling,
    Reshape,
    VariationalDequantize,
)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def learned(levels=3):
    layer = VariationalDequantize(ConditionalAffine("soft_clip"), levels=levels)
    layer.build((None, 1))
    randomize(layer, spread=0.5)
    return layer


def test_it_is_uniform_before_training():
    x = np.random.default_rng(0).integers(0, 8, (5, 4, 4, 2)).astype("float32")
    z, log_det = VariationalDequantize(levels=8).forward_and_log_det(x)
    wanted, wanted_log_det = Dequantize(8).forward_and_log_det(x)
    np.testing.assert_array_equal(z, wanted)
    np.testing.assert_allclose(log_det, wanted_log_det, rtol=1e-6)


def test_its_density_has_the_mass_one():
    """E_q[1 / q(u | x)] is the length of the interval of u."""
    x = np.repeat([[0.0], [1.0], [2.0]], 20_000, axis=0).astype("float32")
    _, log_det = learned().forward_and_log_det(x, training=True)
    values = np.exp(numpy(log_det) + np.log(3)).reshape(3, -1)
    error = values.std(axis=1) / np.sqrt(values.shape[1])
    assert (error < 0.05).all()
    assert error.max() > 1e-3
    np.testing.assert_array_less(np.abs(values.mean(axis=1) - 1), 5 * error)


def test_draws_bound_the_mass_of_each_level_and_come_near_it():
    """Of a logistic density its masses are differences of its distribution function."""
    noise, scaling = learned(), DiagonalScaling()
    flow = tfflows.Flow([noise, scaling], (1,), base=tfflows.distributions.StandardLogistic())
    scaling.log_scale.assign([1.5])
    mass = np.log(np.diff(expit(np.exp(1.5) * np.arange(4) / 3)))
    x = np.repeat([[0.0], [1.0], [2.0]], 5000, axis=0).astype("float32")
    z, log_det = flow.forward_and_log_det(x, training=True)
    draws = numpy(flow.base(z) + log_det).reshape(3, -1)
    assert (draws.mean(axis=1) < mass - 0.01).all()  # this noise does not fit
    ratios = np.exp(draws - mass[:, None])
    error = ratios.std(axis=1) / np.sqrt(ratios.shape[1])
    assert (error < 0.05).all()
    np.testing.assert_array_less(np.abs(ratios.mean(axis=1) - 1), 5 * error)
    rows = x[::5000]
    of_each = [numpy(flow.log_density_of_draw(rows, draw)) for draw in range(3)]
    wanted = np.log(np.mean(np.exp(of_each), axis=0))
    np.testing.assert_allclose(flow.log_prob(rows, num_draws=3), wanted, atol=1e-5)


def test_the_noise_of_a_row_is_its_own_and_its_floor_the_row():
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1))
    layer = VariationalDequantize(levels=256)
    layer.build((None, 4, 4, 1))
    randomize(layer, spread=0.2)
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_array_equal(layer.inverse(z), x)
    again, again_log_det = layer.forward_and_log_det(x[3:5])
    np.testing.assert_allclose(again, z[3:5], atol=1e-5)
    np.testing.assert_allclose(again_log_det, log_det[3:5], rtol=1e-4)


def test_wrong_layers_are_named():
    with pytest.raises(ValueError, match=r"layers must be flow layers. Received: 3"):
        VariationalDequantize([3])
    layer = VariationalDequantize(Reshape((4,)))
    with pytest.raises(ValueError, match=r"must keep x's shape \(2, 2\). Received: reshape"):
        layer.build((None, 2, 2))
