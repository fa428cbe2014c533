"""Sampling from unnormalised densities: targets, corrections, and what they tell."""

from tfflows.energies.chain import Chain, autocorrelation_time
from tfflows.energies.hmc import hmc
from tfflows.energies.importance import WeightedDraws, importance
from tfflows.energies.metropolis import metropolis, metropolis_of_draws
from tfflows.energies.phi4 import Phi4

__all__ = [
    "Chain",
    "Phi4",
    "WeightedDraws",
    "autocorrelation_time",
    "hmc",
    "importance",
    "metropolis",
    "metropolis_of_draws",
]
