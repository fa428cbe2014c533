"""Invertible layers: one idea per file; `flow_layer.py` holds the contract."""

from tfflows.layers.actnorm import ActNorm
from tfflows.layers.additive_coupling import AdditiveCoupling
from tfflows.layers.additive_log_ratio import AdditiveLogRatio
from tfflows.layers.affine_coupling import AffineCoupling
from tfflows.layers.amortized import AmortizedLayer
from tfflows.layers.arcsinh import Arcsinh
from tfflows.layers.batch_norm import BatchNorm
from tfflows.layers.blockwise import Blockwise
from tfflows.layers.conditional_affine import ConditionalAffine
from tfflows.layers.continuous_flow import ContinuousFlow
from tfflows.layers.coupling import Coupling
from tfflows.layers.data_dependent_layer import DataDependentLayer
from tfflows.layers.dequantize import Dequantize
from tfflows.layers.diagonal_scaling import DiagonalScaling
from tfflows.layers.factor_out import FactorOut
from tfflows.layers.flatten import Flatten
from tfflows.layers.flow_layer import FlowLayer
from tfflows.layers.gaussian_noise import GaussianNoise
from tfflows.layers.householder import Householder
from tfflows.layers.inverse_softplus import InverseSoftplus
from tfflows.layers.invert import Invert
from tfflows.layers.invertible_conv1x1 import InvertibleConv1x1
from tfflows.layers.log import Log
from tfflows.layers.logistic_mixture_coupling import LogisticMixtureCoupling
from tfflows.layers.logit import Logit
from tfflows.layers.lu_linear import LULinear
from tfflows.layers.masked_autoregressive import InverseAutoregressive, MaskedAutoregressive
from tfflows.layers.noise_conditional import NoiseConditional
from tfflows.layers.ordered import Ordered
from tfflows.layers.pad import Pad
from tfflows.layers.permute import Permute
from tfflows.layers.planar import Planar
from tfflows.layers.radial import Radial
from tfflows.layers.radial_gaussianize import RadialGaussianize
from tfflows.layers.reshape import Reshape
from tfflows.layers.reverse import Reverse
from tfflows.layers.rotate import Rotate
from tfflows.layers.spline_coupling import SplineCoupling
from tfflows.layers.squeeze import Squeeze
from tfflows.layers.standardize import Standardize
from tfflows.layers.sylvester import Sylvester
from tfflows.layers.transformer_autoregressive import TransformerAutoregressive
from tfflows.layers.variational_dequantize import VariationalDequantize
from tfflows.layers.whiten import Whiten
from tfflows.utils.moved import moved_attribute

__all__ = [
    "ActNorm",
    "AdditiveCoupling",
    "AdditiveLogRatio",
    "AffineCoupling",
    "AmortizedLayer",
    "Arcsinh",
    "BatchNorm",
    "Blockwise",
    "ConditionalAffine",
    "ContinuousFlow",
    "Coupling",
    "DataDependentLayer",
    "Dequantize",
    "DiagonalScaling",
    "FactorOut",
    "Flatten",
    "FlowLayer",
    "GaussianNoise",
    "Householder",
    "InverseAutoregressive",
    "InverseSoftplus",
    "Invert",
    "InvertibleConv1x1",
    "LULinear",
    "Log",
    "LogisticMixtureCoupling",
    "Logit",
    "MaskedAutoregressive",
    "NoiseConditional",
    "Ordered",
    "Pad",
    "Permute",
    "Planar",
    "Radial",
    "RadialGaussianize",
    "Reshape",
    "Reverse",
    "Rotate",
    "SplineCoupling",
    "Squeeze",
    "Standardize",
    "Sylvester",
    "TransformerAutoregressive",
    "VariationalDequantize",
    "Whiten",
]


def __getattr__(name):
    raise AttributeError(moved_attribute(__name__, name))
