"""Held-out numbers, scores of files, latents and pictures of flows."""

from tfflows.evaluation import plots
from tfflows.evaluation.animation import animate
from tfflows.evaluation.evaluation import Evaluation, GaussianBaseline, evaluate
from tfflows.evaluation.latents import attribute_direction, change_attribute, interpolate
from tfflows.evaluation.scoring import ScoredRow, ScoreSummary, score_file
from tfflows.evaluation.solver_error import solver_error

__all__ = [
    "Evaluation",
    "GaussianBaseline",
    "ScoreSummary",
    "ScoredRow",
    "animate",
    "attribute_direction",
    "change_attribute",
    "evaluate",
    "interpolate",
    "plots",
    "score_file",
    "solver_error",
]
