"""Variational autoencoders whose posteriors and priors may be flows."""

from tfflows.vae.elbo import ELBO
from tfflows.vae.flow_prior import FlowPrior
from tfflows.vae.gated import GatedConv2D, GatedConv2DTranspose, GatedDense
from tfflows.vae.likelihoods import (
    LIKELIHOODS,
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    Likelihood,
)
from tfflows.vae.networks import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from tfflows.vae.posterior import Posterior
from tfflows.vae.posteriors import POSTERIORS
from tfflows.vae.vae import VAE
from tfflows.vae.vamp_prior import VampPrior
from tfflows.vae.variational import Variational

__all__ = [
    "ELBO",
    "LIKELIHOODS",
    "POSTERIORS",
    "VAE",
    "Bernoulli",
    "Categorical",
    "ConvDecoder",
    "ConvEncoder",
    "DiscretizedLogistic",
    "FlowPrior",
    "GatedConv2D",
    "GatedConv2DTranspose",
    "GatedDense",
    "Gaussian",
    "Likelihood",
    "MLPDecoder",
    "MLPEncoder",
    "Posterior",
    "VampPrior",
    "Variational",
]
