"""Published models, one per file."""

from tfflows.models.ffjord import FFJORD
from tfflows.models.glow import Glow
from tfflows.models.iaf import IAF
from tfflows.models.jet import Jet
from tfflows.models.made import MADEFlow
from tfflows.models.maf import MAF
from tfflows.models.multi_scale_ffjord import MultiScaleFFJORD
from tfflows.models.multi_scale_real_nvp import MultiScaleRealNVP
from tfflows.models.nice import NICE
from tfflows.models.nsf import NSF
from tfflows.models.real_nvp import RealNVP
from tfflows.models.tar_flow import TarFlow
from tfflows.utils.moved import moved_attribute

__all__ = [
    "FFJORD",
    "IAF",
    "MAF",
    "NICE",
    "NSF",
    "Glow",
    "Jet",
    "MADEFlow",
    "MultiScaleFFJORD",
    "MultiScaleRealNVP",
    "RealNVP",
    "TarFlow",
]


def __getattr__(name):
    raise AttributeError(moved_attribute(__name__, name))
