"""Gradients and estimates from draws of normals, against closed forms."""

import keras
import numpy as np
import pytest
from keras import ops

import tfflows
from tfflows import distributions, energies

MEAN, SCALE = 0.3, 0.8  # of the density p; the flow q is N(0, 1) at first
LOG_Z = 2.0


def log_density(x):
    """exp(2) N(0.3, 0.8^2)."""
    norm = np.log(SCALE * np.sqrt(2 * np.pi))
    return LOG_Z - norm - 0.5 * ops.square((x[:, 0] - MEAN) / SCALE)


def normal_flow():
    return tfflows.Flow([], (1,), distributions.DiagonalNormal())


def gradient(objective, num_draws=2**16):
    """Of the loss in the mean and the log-scale of q, by one step of gradient descent."""
    flow, rate = normal_flow(), 1e-2
    flow.compile(keras.optimizers.SGD(rate))
    flow.fit_to_density(log_density, 1, 1, num_draws, seed=0, verbose=0, objective=objective)
    moved = [flow.base.mean, flow.base.log_scale]
    return -np.ravel([ops.convert_to_numpy(each) for each in moved]) / rate


def log_mean_square_weight(mean, log_scale):
    """log of the integral of p^2 / q, p normalised, q = N(mean, exp(log_scale)^2)."""
    precision = 2 / SCALE**2 - np.exp(-2 * log_scale)
    linear = 2 * MEAN / SCALE**2 - mean * np.exp(-2 * log_scale)
    constant = -2 * MEAN**2 / SCALE**2 + mean**2 * np.exp(-2 * log_scale)
    exponent = 0.5 * (linear**2 / precision + constant)
    return exponent - 0.5 * np.log(precision) + log_scale - 2 * np.log(SCALE)


def derivative(function, step=1e-5):
    """In both parameters, at (0, 0)."""
    return np.asarray(
        [
            (function(step, 0.0) - function(-step, 0.0)) / (2 * step),
            (function(0.0, step) - function(0.0, -step)) / (2 * step),
        ]
    )


REVERSE = np.asarray([-MEAN / SCALE**2, 1 / SCALE**2 - 1])  # of KL(q || p)
FORWARD = np.asarray([-MEAN, 1 - SCALE**2 - MEAN**2])  # of KL(p || q)


@pytest.mark.parametrize(
    ("objective", "exact", "tolerance"),
    [
        ("reverse_kl", REVERSE, 0.02),
        ("path_gradient", REVERSE, 0.01),
        ("forward_kl", FORWARD, 0.05),
        ("alpha_2", derivative(log_mean_square_weight), 0.1),
    ],
)
def test_gradients_are_those_of_the_divergence(objective, exact, tolerance):
    np.testing.assert_allclose(gradient(objective), exact, atol=tolerance)


def test_a_path_gradient_is_zero_for_every_draw_where_the_flow_is_the_density():
    def of(objective):
        flow = normal_flow()
        flow.compile(keras.optimizers.SGD(1.0))
        flow.fit_to_density(
            lambda x: -0.5 * ops.sum(ops.square(x), axis=-1), 1, 1, 8, seed=0, verbose=0,
            objective=objective,
        )  # fmt: skip
        return np.abs(ops.convert_to_numpy(flow.base.mean)).max()

    assert of("path_gradient") < 1e-6
    assert of("reverse_kl") > 1e-3  # its score term has mean 0, and is not 0


def test_importance_weights_estimate_log_z_means_and_the_effective_sample_size():
    draws = energies.importance(normal_flow(), log_density, 2**16, seed=0)
    assert abs(draws.log_z - LOG_Z) < 4 * draws.log_z_error < 0.02
    exact = np.exp(-log_mean_square_weight(0.0, 0.0))
    np.testing.assert_allclose(draws.ess, exact, atol=0.03)
    mean, error = draws.mean(draws.x[:, 0])
    assert abs(mean - MEAN) < 4 * error < 0.05
    kl = 0.5 * ((1 + MEAN**2) / SCALE**2 - 1) + np.log(SCALE)
    np.testing.assert_allclose(draws.kl_divergence, kl, atol=0.02)
    np.testing.assert_allclose(draws.resample(20_000, seed=0).mean(), MEAN, atol=0.05)


def test_the_error_of_log_z_is_its_standard_deviation():
    flow = normal_flow()
    runs = [energies.importance(flow, log_density, 256, seed=seed) for seed in range(200)]
    deviation = np.std([run.log_z for run in runs])
    np.testing.assert_allclose(np.mean([run.log_z_error for run in runs]), deviation, rtol=0.25)
    # Z itself, and not its log, is estimated without bias.
    ratios = np.exp([run.log_z - LOG_Z for run in runs])
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / np.sqrt(len(ratios))


def test_independence_metropolis_draws_from_the_density():
    chain = energies.metropolis(normal_flow(), log_density, 2**15, seed=0)
    mean, error, time = chain.mean(chain.x[:, 0])
    assert abs(mean - MEAN) < 4 * error < 0.1
    assert time > 0.5
    square, error, _ = chain.mean(np.square(chain.x[:, 0] - MEAN))
    assert abs(square - SCALE**2) < 4 * error < 0.2
    # Acceptance by quadrature: mean of min(1, w(y) / w(x)) over x of p and y of q.
    grid = np.linspace(-8, 8, 801)
    p = np.exp(-0.5 * ((grid - MEAN) / SCALE) ** 2) / SCALE
    q = np.exp(-0.5 * grid**2)
    p, q = p / p.sum(), q / q.sum()
    ratio = np.minimum(1, (p / q)[None, :] * (q / p)[:, None])
    np.testing.assert_allclose(chain.acceptance, p @ ratio @ q, atol=0.02)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_annealed_weights_estimate_the_integral_without_bias(power):
    annealed = energies.AnnealedImportance(
        normal_flow(), log_density, power, num_steps=2, num_leapfrog=2, step_size=0.7
    )
    draws = annealed(2**14, seed=0)
    exact = power * LOG_Z + (log_mean_square_weight(0.0, 0.0) if power == 2 else 0.0)
    assert abs(draws.log_z - exact) < 4 * draws.log_z_error < 0.05
    assert 0.3 < draws.acceptance <= 1
    np.testing.assert_allclose(  # the flow's own density at the moved draws
        draws.log_prob, -0.5 * (draws.x[:, 0] ** 2 + np.log(2 * np.pi)), atol=1e-4
    )
    # The tilted normal p^a q^(1-a), of which the draws are by their weights.
    precision = power / SCALE**2 + 1 - power
    mean, error = draws.mean(draws.x[:, 0])
    assert abs(mean - power * MEAN / SCALE**2 / precision) < 4 * error < 0.1


def test_hmc_draws_from_the_density():
    chain = energies.hmc(
        log_density, np.zeros((256, 1)), 60, step_size=0.5, num_leapfrog=4, burn_in=10, seed=0
    )
    assert chain.x.shape == (60, 256, 1)
    assert chain.acceptance > 0.9
    mean, error, time = chain.mean(chain.x[..., 0])
    assert abs(mean - MEAN) < 4 * error < 0.1
    assert time < 3
    np.testing.assert_allclose(chain.x.std(), SCALE, atol=0.05)


def test_the_autocorrelation_time_of_an_autoregression():
    generator, slope, count = np.random.default_rng(0), 0.8, 2000
    values = np.zeros((count, 20))
    for step in range(1, count):
        values[step] = slope * values[step - 1] + generator.standard_normal(20)
    exact = 0.5 + slope / (1 - slope)
    np.testing.assert_allclose(energies.autocorrelation_time(values), exact, rtol=0.1)
    independent = generator.standard_normal((count, 20))
    np.testing.assert_allclose(energies.autocorrelation_time(independent), 0.5, atol=0.05)
    assert energies.autocorrelation_time(np.ones(100)) == np.inf
    with pytest.raises(ValueError, match=r"at least 8 values. Received: 3"):
        energies.autocorrelation_time(np.ones(3))
