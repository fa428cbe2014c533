"""Published models, one a file."""

from tfflows.models.multi_scale_real_nvp import MultiScaleRealNVP
from tfflows.models.nice import NICE
from tfflows.models.nsf import NSF
from tfflows.models.real_nvp import RealNVP

__all__ = ["NICE", "NSF", "MultiScaleRealNVP", "RealNVP"]
