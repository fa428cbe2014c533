"""Bounds of a VAE against log p(x) in closed form, by enumeration and by its own samples."""

import itertools

import keras
import numpy as np
import pytest
from linear_vae import LATENTS, LinearVAE, numpy
from scipy import stats

from tfflows import Flow, layers, models, vae
from tfflows.training.batch import Batch
from tfflows.vae.elbo import ELBO


def test_an_exact_posterior_gives_log_p_of_each_row():
    linear = LinearVAE(orthogonal=True)
    x = linear.draw(50)
    np.testing.assert_allclose(numpy(linear.vae.elbo(x)), linear.log_prob(x), atol=1e-4)
    several = linear.vae.log_prob(x, num_draws=7)
    np.testing.assert_allclose(numpy(several), linear.log_prob(x), atol=1e-4)


@pytest.mark.parametrize("posterior", [None, "iaf"])
def test_float64_is_kept_to_the_end(posterior):
    if keras.backend.backend() == "jax":
        pytest.skip("float64 on JAX is switched on for whole processes")
    linear = LinearVAE(orthogonal=True, posterior=posterior, dtype="float64")
    x = linear.draw(20).astype("float64")
    bound = linear.vae.elbo(x)
    assert keras.backend.standardize_dtype(bound.dtype) == "float64"
    if posterior is None:
        np.testing.assert_allclose(numpy(bound), linear.log_prob(x), atol=1e-10)


def test_the_elbo_is_below_by_the_kl_to_the_posterior():
    linear = LinearVAE(orthogonal=False)
    x = linear.draw(20_000)
    gaps = linear.log_prob(x) - numpy(linear.vae.elbo(x))
    error = gaps.std() / np.sqrt(len(gaps))
    assert linear.gap() > 0.1  # of a diagonal Gaussian, to a posterior that is not
    assert abs(gaps.mean() - linear.gap()) < 4 * error


def test_the_importance_weighted_bound_rises_to_log_p():
    linear = LinearVAE(orthogonal=False)
    x = linear.draw(4_000)
    bounds = [numpy(linear.vae.log_prob(x, num_draws=k)) for k in (1, 4, 16, 256)]
    means = [bound.mean() for bound in bounds]
    assert sorted(means) == means
    last = bounds[-1] - linear.log_prob(x)
    error = last.std() / np.sqrt(len(last))
    assert -0.01 - 4 * error < last.mean() < 4 * error


def test_a_flow_that_can_represent_the_posterior_closes_the_gap():
    linear = LinearVAE(orthogonal=False, posterior=[layers.LULinear(seed=0)])
    linear.layer.head.trainable = False
    linear.vae.compile(keras.optimizers.Adam(2e-2))
    x = linear.draw(2_000)
    linear.vae.fit(x, epochs=8, batch_size=200, verbose=0)
    linear.vae.compile(keras.optimizers.Adam(2e-3))
    linear.vae.fit(x, epochs=4, batch_size=500, verbose=0)
    gap = np.mean(linear.log_prob(x) - numpy(linear.vae.elbo(x)))
    assert linear.gap() > 0.1
    assert -0.01 < gap < 0.01


def small_binary(**kwargs):
    """A VAE of three pixels with weights far from zero."""
    keras.utils.set_random_seed(0)
    model = vae.VAE(vae.MLPEncoder((8,)), vae.MLPDecoder((8,)), (3, 1, 1), (2,), **kwargs)
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign_add(0.4 * rng.normal(size=weight.shape).astype("float32"))
    return model


EVERY_IMAGE = np.array(list(itertools.product([0, 1], repeat=3)), "float32").reshape(-1, 3, 1, 1)


def masses_by_quadrature(model):
    """p(x) of all images: the integral of p(x | z) p(z) over the plane of z."""
    side = np.linspace(-7, 7, 281)
    z = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2).astype("float32")
    parameters = model.flow_layers[-1].parameters(z)
    prior = numpy(model.base.log_prob(z))
    logs = [numpy(model.likelihood.log_prob(x[None], parameters)) + prior for x in EVERY_IMAGE]
    return np.exp(logs).sum(axis=1) * (side[1] - side[0]) ** 2


@pytest.mark.parametrize("posterior", ["gaussian", "planar"])
def test_bounds_and_samples_have_the_probabilities_of_all_images(posterior):
    model = small_binary(posterior=posterior)
    mass = masses_by_quadrature(model)
    np.testing.assert_allclose(mass.sum(), 1, atol=1e-4)
    assert mass.std() > 0.02
    bound = numpy(model.log_prob(EVERY_IMAGE, num_draws=4000))
    np.testing.assert_allclose(bound, np.log(mass), atol=0.15)
    codes = numpy(model.sample(20_000, seed=0)).reshape(-1, 3) @ [4, 2, 1]
    counts = np.bincount(codes.astype(int), minlength=8)
    assert stats.chisquare(counts, 20_000 * mass / mass.sum()).pvalue > 1e-4


def test_a_flow_as_prior_is_in_the_bound():
    prior = models.RealNVP((LATENTS,), 2, (8,))
    rng = np.random.default_rng(2)
    for weight in prior.trainable_weights:
        weight.assign_add(0.3 * rng.normal(size=weight.shape).astype("float32"))
    x = LinearVAE(orthogonal=True).draw(20)
    plain, flow = LinearVAE(orthogonal=True), LinearVAE(orthogonal=True, prior=prior)
    context, noise = plain.layer.context(x), plain.layer.noise(x)
    z = plain.layer.draw_of_noise(noise, x, context).z
    difference = numpy(prior.log_prob(z)) - numpy(plain.vae.base.log_prob(z))
    np.testing.assert_allclose(
        numpy(flow.vae.elbo(x)) - numpy(plain.vae.elbo(x)), difference, atol=1e-4
    )
    assert len(flow.vae.trainable_weights) > len(plain.vae.trainable_weights)


def test_a_vae_is_the_base_of_a_flow():
    linear = LinearVAE(orthogonal=True)
    scaling = layers.DiagonalScaling()
    flow = Flow([scaling], (4,), vae.FlowPrior(linear.vae))
    scaling.log_scale.assign([0.5, -0.3, 0.2, 0.1])
    x = linear.draw(10)
    z = x * np.exp([0.5, -0.3, 0.2, 0.1]).astype("float32")
    np.testing.assert_allclose(numpy(flow.log_prob(x)), linear.log_prob(z) + 0.5, atol=1e-4)
    assert flow.sample(5, seed=0).shape == (5, 4)


def test_a_vamp_prior_is_a_mixture_of_posteriors():
    model = small_binary(prior=vae.VampPrior(5, seed=0))
    layer, prior = model.flow_layers[-1], model.base
    z = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    inputs = 1 / (1 + np.exp(-numpy(prior.pseudo_inputs)))
    parts = [
        numpy(layer.posterior.log_density(z, layer.context(np.repeat(u[None], 4, 0), None)))
        for u in inputs.astype("float32")
    ]
    expected = np.logaddexp.reduce(parts) - np.log(5)
    np.testing.assert_allclose(numpy(prior.log_prob(z)), expected, rtol=1e-4)
    np.testing.assert_allclose(masses_by_quadrature(model).sum(), 1, atol=1e-4)


def test_warm_up_and_free_bits_change_the_gradient_and_not_the_loss():
    model = small_binary()
    batch = Batch(EVERY_IMAGE)
    _, whole = ELBO().terms(model, batch, False)
    _, warm = ELBO(kl_warmup_steps=4).terms(model, batch, True)
    _, free = ELBO(free_bits=1e6).terms(model, batch, True)
    assert len(warm) == len(free) == 3
    np.testing.assert_allclose(numpy(free[1]), 0)
    steps = float(numpy(model._training_steps))
    assert steps == 2
    np.testing.assert_allclose(numpy(warm[1]) / (numpy(warm[1]) + numpy(warm[2])), 0.25, rtol=1e-5)
    assert numpy(whole[1]).mean() > 0.05
