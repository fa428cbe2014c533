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
    """Mass on the seam that winds around: u of von Mises around pi, v of one around u."""
    concentrations = 2.0, 6.0

    def draw(count, seed):
        generator = np.random.default_rng(seed)
        u = generator.vonmises(math.pi, concentrations[0], count)
        v = u + generator.vonmises(0.0, concentrations[1], count)
        return np.stack([u, v], axis=1).astype("float32")

    keras.utils.set_random_seed(0)
    flow = energies.TorusFlow(2, hidden_units=(32, 32))
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 640)
    flow.compile(keras.optimizers.Adam(rate, clipnorm=10.0))
    flow.fit(draw(16_384, 0), epochs=10, batch_size=256, verbose=0)
    bessel = [(scipy.special.i0(k), scipy.special.i1(k)) for k in concentrations]
    norm = sum(math.log(2 * math.pi * i0) for i0, _ in bessel)
    exact = sum(k * i1 / i0 for k, (i0, i1) in zip(concentrations, bessel, strict=True)) - norm
    x = draw(20_000, 1)
    values = concentrations[0] * np.cos(x[:, 0] - math.pi)
    values += concentrations[1] * np.cos(x[:, 1] - x[:, 0])
    assert values.mean() - norm == pytest.approx(exact, abs=0.03)
    divergence = np.mean(values - norm - numpy(flow.log_prob(x)))
    assert divergence < 0.02  # that of the uniform distribution is 1.8
    cosine = np.cos(numpy(flow.sample(20_000, seed=1))[:, 0])
    assert cosine.mean() == pytest.approx(-bessel[0][1] / bessel[0][0], abs=0.03)
