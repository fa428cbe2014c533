"""Elementwise monotone transforms, whose parameters a network makes."""

from tfflows.transforms.affine import Affine, Shift
from tfflows.transforms.histogram import HistogramCDF
from tfflows.transforms.logistic_mixture import LogisticMixtureCDF
from tfflows.transforms.rational_quadratic import RationalQuadraticSpline
from tfflows.transforms.transform import Transform

__all__ = [
    "Affine",
    "HistogramCDF",
    "LogisticMixtureCDF",
    "RationalQuadraticSpline",
    "Shift",
    "Transform",
]
