"""Base distributions of latents: one per file; `distribution.py` holds the contract."""

from tfflows.distributions.autoregressive_mixture import AutoregressiveMixture
from tfflows.distributions.class_conditional import ClassConditional
from tfflows.distributions.diagonal_normal import DiagonalNormal
from tfflows.distributions.distribution import Distribution
from tfflows.distributions.mixture_of_gaussians import MixtureOfGaussians
from tfflows.distributions.standard import StandardLogistic, StandardNormal
from tfflows.distributions.student_t import StudentT
from tfflows.distributions.uniform import Uniform

__all__ = [
    "AutoregressiveMixture",
    "ClassConditional",
    "DiagonalNormal",
    "Distribution",
    "MixtureOfGaussians",
    "StandardLogistic",
    "StandardNormal",
    "StudentT",
    "Uniform",
]
