"""MADE, its masks and its inversion (Germain et al. 2015)."""

from tfflows.networks.made.made import MADE
from tfflows.networks.made.masked_dense import MaskedDense

__all__ = ["MADE", "MaskedDense"]
