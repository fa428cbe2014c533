"""Held-out numbers, scores of files, latents and pictures of flows."""

from tfflows.evaluation.animation import write_film
from tfflows.evaluation.evaluation import Evaluation, GaussianBaseline, evaluate
from tfflows.evaluation.latents import attribute_direction, change_attribute, interpolate
from tfflows.evaluation.scoring import score_file

__all__ = [
    "Evaluation",
    "GaussianBaseline",
    "attribute_direction",
    "change_attribute",
    "evaluate",
    "interpolate",
    "score_file",
    "write_film",
]
