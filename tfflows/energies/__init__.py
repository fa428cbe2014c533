"""Sampling from unnormalised densities: targets, corrections, and what they tell."""

from tfflows.energies.annealed_importance import AnnealedDraws, AnnealedImportance
from tfflows.energies.chain import Chain, autocorrelation_time
from tfflows.energies.fab import FAB
from tfflows.energies.hmc import hmc
from tfflows.energies.importance import WeightedDraws, importance
from tfflows.energies.lattice_flows import LatticeFlow, LatticeRealNVP
from tfflows.energies.metropolis import metropolis, metropolis_of_draws
from tfflows.energies.modes import ManyWell, NormalMixture
from tfflows.energies.monitor import Monitor
from tfflows.energies.phi4 import Phi4
from tfflows.energies.posteriors import EightSchools, Funnel
from tfflows.energies.potentials import Potential
from tfflows.energies.replay_buffer import ReplayBuffer
from tfflows.energies.target import Target
from tfflows.energies.torus_flow import TorusFlow

__all__ = [
    "FAB",
    "AnnealedDraws",
    "AnnealedImportance",
    "Chain",
    "EightSchools",
    "Funnel",
    "LatticeFlow",
    "LatticeRealNVP",
    "ManyWell",
    "Monitor",
    "NormalMixture",
    "Phi4",
    "Potential",
    "ReplayBuffer",
    "Target",
    "TorusFlow",
    "WeightedDraws",
    "autocorrelation_time",
    "hmc",
    "importance",
    "metropolis",
    "metropolis_of_draws",
]
