"""Likelihoods of VAEs: masses that sum to one, draws that have them, and refused data."""

import numpy as np
import pytest
from keras import ops
from linear_vae import numpy
from scipy import stats

from tfflows import vae
from tfflows.backend import rng

LEVELS = 6


def parameters_of(likelihood, n):
    random = np.random.default_rng(0)
    values = random.normal(size=(1, 2, 1, likelihood.num_parameters))
    return np.repeat(values, n, axis=0).astype("float32")


DISCRETE = [
    (vae.Bernoulli(), 2),
    (vae.Categorical(LEVELS), LEVELS),
    (vae.DiscretizedLogistic(LEVELS), LEVELS),
]


@pytest.mark.parametrize(("likelihood", "levels"), DISCRETE)
def test_masses_sum_to_one_and_samples_have_them(likelihood, levels):
    parameters = parameters_of(likelihood, levels)[:, :1]
    x = np.arange(levels, dtype="float32").reshape(-1, 1, 1)
    mass = np.exp(numpy(likelihood.log_prob(x, parameters)))
    np.testing.assert_allclose(mass.sum(), 1, atol=1e-5)
    many = np.repeat(parameters[:1], 20_000, axis=0)
    seeds = np.stack([np.arange(20_000), np.zeros(20_000)], axis=1).astype("int32")
    drawn = numpy(likelihood.draw(many, rng.RowNoise(seeds, "float32"))).ravel()
    counts = np.bincount(drawn.astype(int), minlength=levels)
    assert stats.chisquare(counts, 20_000 * mass / mass.sum()).pvalue > 1e-4
    if not isinstance(likelihood, vae.DiscretizedLogistic):  # whose mean is that before rounding
        mean = numpy(likelihood.mean(parameters[:1])).ravel()[0]
        np.testing.assert_allclose(mean, (mass * np.arange(levels)).sum(), rtol=1e-4)


def test_a_logistic_far_from_a_level_has_finite_masses_and_gradients():
    x = np.array([0, 3, 5], "float32").reshape(-1, 1)
    parameters = np.tile(np.array([[40.0, -30.0]], "float32"), (3, 1))[:, None]
    log_prob = numpy(vae.DiscretizedLogistic(LEVELS).log_prob(x, parameters))
    assert np.isfinite(log_prob).all()
    assert log_prob[0] < -1000


def test_a_normal_is_that_of_scipy():
    likelihood = vae.Gaussian()
    parameters = parameters_of(likelihood, 5)
    x = np.random.default_rng(1).normal(size=(5, 2, 1)).astype("float32")
    raw = parameters[..., 1].astype("float64")
    scale = np.exp(raw / (1 + np.abs(raw) / np.log(1e3)))
    expected = stats.norm(parameters[..., 0], scale).logpdf(x).sum(axis=(1, 2))
    np.testing.assert_allclose(numpy(likelihood.log_prob(x, parameters)), expected, rtol=1e-5)


def test_noise_of_a_row_follows_from_the_row():
    for likelihood in (vae.Bernoulli(), vae.Categorical(256), vae.Gaussian()):
        x = np.random.default_rng(0).integers(0, 2, (6, 9, 1)).astype("float32")
        seeds = ops.convert_to_numpy(likelihood.row_seeds(x))
        again = ops.convert_to_numpy(likelihood.row_seeds(x[::-1].copy()))[::-1]
        np.testing.assert_array_equal(seeds, again)
        assert len(np.unique(seeds, axis=0)) == len(np.unique(x.reshape(6, -1), axis=0))


@pytest.mark.parametrize(
    ("likelihood", "x", "message"),
    [
        ("bernoulli", 0.3, "binarize them.*Received: 4 others, the first 0.3"),
        ("categorical", 0.5, "expects whole numbers"),
        ("discretized_logistic", 300.0, "Expected data from 0 to 255"),
        ("bernoullli", 0.0, "did you mean 'bernoulli'|did you mean bernoulli"),
    ],
)
def test_data_without_a_probability_are_refused(likelihood, x, message):
    data = np.full((1, 4), x, "float32")

    def call():
        model = vae.VAE(
            vae.MLPEncoder((4,)), vae.MLPDecoder((4,)), (4,), (2,), likelihood=likelihood
        )
        model.elbo(data)

    with pytest.raises(ValueError, match=message):
        call()


def test_levels_must_be_a_number():
    with pytest.raises(ValueError, match="levels must be an integer from 2"):
        vae.Categorical(1)
