"""Conditioners: the networks inside layers."""

from tfflows.networks.causal_transformer import CausalTransformer
from tfflows.networks.condition import join_condition, joined_shape
from tfflows.networks.conv_resnet import ConvResNet
from tfflows.networks.dynamics import DynamicsConvNet, DynamicsMLP
from tfflows.networks.gated_attention import GatedAttention
from tfflows.networks.glow_net import GlowNet
from tfflows.networks.lattice_conv import CircularConv2D, OddConvNet
from tfflows.networks.lattice_field import LatticeField
from tfflows.networks.made.made import MADE
from tfflows.networks.made.masked_dense import MaskedDense
from tfflows.networks.mlp import MLP
from tfflows.networks.residual_mlp import ResidualMLP
from tfflows.networks.vision_transformer import VisionTransformer
from tfflows.networks.weight_norm import WeightNormConv2D
from tfflows.networks.zero_conv import ZeroConv2D

__all__ = [
    "MADE",
    "MLP",
    "CausalTransformer",
    "CircularConv2D",
    "ConvResNet",
    "DynamicsConvNet",
    "DynamicsMLP",
    "GatedAttention",
    "GlowNet",
    "LatticeField",
    "MaskedDense",
    "OddConvNet",
    "ResidualMLP",
    "VisionTransformer",
    "WeightNormConv2D",
    "ZeroConv2D",
    "join_condition",
    "joined_shape",
]
