"""The ready densities against quadrature, their exact draws, and known moments."""

import numpy as np
import pytest
from keras import ops

from tfflows import energies


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def log_integral(target, low, high, points=600):
    """On a grid in two dimensions."""
    axes = [np.linspace(low[i], high[i], points, dtype="float32") for i in (0, 1)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    return np.logaddexp.reduce(numpy(target(grid)).astype("float64")) + np.log(cell)


@pytest.mark.parametrize("name", ["U1", "U2", "U3", "U4"])
def test_potentials_integrate_to_their_constants(name):
    target = energies.Potential(name)
    np.testing.assert_allclose(log_integral(target, (-5, -9), (5, 6)), target.log_z, atol=0.01)
    x = target.sample(2000, seed=0)
    assert x.shape == (2000, 2)
    assert numpy(target(x)).min() > -15


def test_the_mixture_and_the_funnel_and_the_wells_are_normalised_as_they_say():
    mixture = energies.NormalMixture()
    np.testing.assert_allclose(log_integral(mixture, (-46, -46), (46, 46)), 0.0, atol=1e-3)
    assert len(np.unique(mixture.nearest_mode(mixture.sample(4000, seed=0)))) == 40
    narrow = energies.Funnel(2, scale=0.5)
    np.testing.assert_allclose(log_integral(narrow, (-4, -12), (4, 12)), 0.0, atol=1e-3)
    well = energies.ManyWell(2)
    np.testing.assert_allclose(log_integral(well, (-4, -6), (4, 6)), well.log_z, atol=1e-3)
    # 16 pairs: log Z of Midgley et al. 2023 is 164.696.
    np.testing.assert_allclose(energies.ManyWell(32).log_z, 164.696, atol=2e-3)


def test_exact_draws_have_the_moments():
    well = energies.ManyWell(4)
    x = well.sample(40_000, seed=0)
    np.testing.assert_allclose((x[:, ::2] > 0).mean(axis=0), well.right_mass, atol=0.01)
    np.testing.assert_allclose(x[:, 1::2].std(axis=0), 1.0, atol=0.02)
    # The mean square of the score is minus the mean curvature (Fisher), exact draws or not.
    u = x[:, 0].astype("float64")
    score, curvature = -4 * u**3 + 12 * u + 0.5, -12 * u**2 + 12
    np.testing.assert_allclose(np.mean(score**2), -np.mean(curvature), rtol=0.03)
    funnel = energies.Funnel(3)
    x = funnel.sample(40_000, seed=0)
    np.testing.assert_allclose(x[:, 0].std(), 3.0, rtol=0.02)
    np.testing.assert_allclose((x[:, 1] * np.exp(-x[:, 0] / 2)).std(), 1.0, rtol=0.02)


def test_both_forms_of_the_eight_schools_are_one_posterior():
    centered, other = energies.EightSchools(centered=True), energies.EightSchools()
    z = np.random.default_rng(0).standard_normal((5, 10)).astype("float32")
    x = z.copy()
    x[:, 2:] = numpy(other.schools(z))
    # The density of the offsets has the Jacobian tau^8.
    np.testing.assert_allclose(
        numpy(centered(x)) + 8 * z[:, 1], numpy(other(z)), rtol=1e-4, atol=1e-4
    )
