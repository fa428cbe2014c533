"""Published models, one a file."""

from tfflows.models.ffjord import FFJORD
from tfflows.models.glow import Glow
from tfflows.models.iaf import IAF
from tfflows.models.jet import Jet
from tfflows.models.made import MADE
from tfflows.models.maf import MAF
from tfflows.models.multi_scale_ffjord import MultiScaleFFJORD
from tfflows.models.multi_scale_real_nvp import MultiScaleRealNVP
from tfflows.models.nice import NICE
from tfflows.models.nsf import NSF
from tfflows.models.real_nvp import RealNVP

__all__ = [
    "FFJORD",
    "IAF",
    "MADE",
    "MAF",
    "NICE",
    "NSF",
    "Glow",
    "Jet",
    "MultiScaleFFJORD",
    "MultiScaleRealNVP",
    "RealNVP",
]
