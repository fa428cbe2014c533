"""Scoring, training and serving on Ray, on this machine or a cluster: the extra `ray`."""

from tfflows.ray.scoring import ScoredFiles, score

__all__ = ["ScoredFiles", "score"]
