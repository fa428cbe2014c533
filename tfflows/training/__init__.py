"""How flows are trained: densities in tensors, objectives, and the trainer that `Flow` is."""

from tfflows.backend.compilation_cache import use_compilation_cache
from tfflows.training.batch import Batch
from tfflows.training.density import Density
from tfflows.training.flow_matching import FlowMatching
from tfflows.training.objective import MaximumLikelihood, Objective
from tfflows.training.path_gradient import PathGradient
from tfflows.training.reverse_kl import ReverseKL
from tfflows.training.trainer import Trainer
from tfflows.training.weighted_draws import Alpha2, ForwardKL

__all__ = [
    "Alpha2",
    "Batch",
    "Density",
    "FlowMatching",
    "ForwardKL",
    "MaximumLikelihood",
    "Objective",
    "PathGradient",
    "ReverseKL",
    "Trainer",
    "use_compilation_cache",
]
