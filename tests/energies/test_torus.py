"""Flows over angles: no seam, mass one, and densities that wrap around."""

import math

import keras
import numpy as np
import pytest
import scipy.special
from keras import ops

import tfflows
from tfflows import energies, layers
from tfflows.testing.weights import randomize


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def make(dims=2, **kwargs):
    flow = energies.TorusFlow(dims, hidden_units=(8,), num_bins=4, **kwargs)
    return randomize(flow)


def angles(count, dims, seed=0):
    return np.random.default_rng(seed).uniform(-math.pi, math.pi, (count, dims))


def test_the_density_has_mass_one_and_no_seam():
    flow = make(dtype="float64")
    line = -math.pi + 2 * math.pi * (np.arange(200) + 0.5) / 200
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    log_prob = numpy(flow.log_prob(grid))
    assert log_prob.std() > 0.1  # it is not the uniform one
    mass = np.exp(log_prob).sum() * (2 * math.pi / 200) ** 2
    np.testing.assert_allclose(mass, 1, atol=1e-3)
    turned = grid + 2 * math.pi * np.asarray([3, -1])
    np.testing.assert_allclose(numpy(flow.log_prob(turned)), log_prob, atol=1e-4)
    ends = np.stack([np.full(50, math.pi), line[::4]], axis=1)
    step = np.asarray([1e-6, 0])
    sides = [numpy(flow.log_prob(ends + sign * step)) for sign in (-1, 1)]
    np.testing.assert_allclose(*sides, atol=1e-4)


@pytest.mark.parametrize("dims", [1, 3])
def test_draws_are_angles_of_the_density_itself(dims):
    flow = make(dims)
    x, log_prob = (numpy(each) for each in flow.sample_and_log_prob(2000, seed=0))
    assert np.abs(x).max() <= np.float32(math.pi)
    np.testing.assert_allclose(numpy(flow.log_prob(x)), log_prob, atol=1e-3)
    # The mean of 1 / q over draws of q is the area of the torus.
    inverse = np.exp(-log_prob)
    error = inverse.std() / math.sqrt(len(x))
    assert error > 0
    np.testing.assert_allclose(inverse.mean(), (2 * math.pi) ** dims, atol=5 * error)


def test_a_rotation_brings_any_number_to_one_turn_and_back():
    layer = layers.Rotate(180.0, dtype="float64")
    layer.build((None, 2))
    layer.angle.assign([30.0, -100.0])
    x = np.asarray([[170.0, -170.0], [0.0, 720.0], [-1000.0, 10.0]])
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(numpy(z), [[-160, 90], [30, -100], [110, -90]], atol=1e-9)
    np.testing.assert_array_equal(numpy(log_det), np.zeros(3))
    np.testing.assert_allclose(numpy(layer.inverse(z))[0], x[0], atol=1e-9)
    with pytest.raises(ValueError, match=r"bound must be positive and finite\. Received: 0"):
        layers.Rotate(0)


def test_a_uniform_base_on_the_real_line_says_where_it_has_no_density():
    base = tfflows.distributions.Uniform(-1.0, 3.0)
    flow = tfflows.Flow([layers.DiagonalScaling()], (2,), base=base)
    found = numpy(flow.log_prob(np.asarray([[0.0, 2.9], [-0.5, 3.1], [3.0, -1.0]])))
    np.testing.assert_allclose(found, [-2 * math.log(4), -np.inf, -2 * math.log(4)])
    with pytest.raises(ValueError, match=r"finite `low` < `high`. Received: 2, 1"):
        tfflows.distributions.Uniform(2, 1)


@pytest.mark.slow
def test_a_band_around_the_torus_is_learned():
    """kappa cos(u - pi) + lambda cos(v - u): its mass lies on the seam, and winds around."""
    kappa, narrow = 2.0, 6.0

    def target(x):
        return kappa * ops.cos(x[:, 0] - math.pi) + narrow * ops.cos(x[:, 1] - x[:, 0])

    keras.utils.set_random_seed(0)
    flow = energies.TorusFlow(2, hidden_units=(32, 32), num_bins=12)
    flow.compile(keras.optimizers.Adam(5e-3, clipnorm=10.0))
    flow.fit_to_density(target, 8, 100, batch_size=256, annealing_steps=100, seed=0, verbose=0)
    draws = energies.importance(flow, target, 20_000, seed=1)
    exact = math.log((2 * math.pi) ** 2 * scipy.special.i0(kappa) * scipy.special.i0(narrow))
    assert draws.ess > 0.9
    np.testing.assert_allclose(draws.log_z, exact, atol=0.01)
    mean, error = draws.mean(np.cos(draws.x[:, 0]))
    wanted = -scipy.special.i1(kappa) / scipy.special.i0(kappa)
    np.testing.assert_allclose(mean, wanted, atol=5 * error)
