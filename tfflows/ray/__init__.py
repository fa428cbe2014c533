"""Scoring, training and serving on Ray, on this machine or a cluster: the extra `ray`."""

from tfflows.ray.scoring import ScoredFiles, score
from tfflows.ray.serving import Service, serve
from tfflows.ray.training import train

__all__ = ["ScoredFiles", "Service", "score", "serve", "train"]
