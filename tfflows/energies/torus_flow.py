"""Flows over angles: couplings of circular splines (Rezende et al. 2020)."""

import math
from collections.abc import Sequence

import keras

from tfflows.distributions import Uniform
from tfflows.layers import Rotate, SplineCoupling
from tfflows.models.published_flow import PublishedFlow
from tfflows.networks import MLP
from tfflows.utils.checks import check_positive

PARTITIONS = ("half", "checkerboard")


@keras.saving.register_keras_serializable(package="tfflows")
class TorusFlow(PublishedFlow):
    """Circular spline couplings of angles `[batch, dims]` in radians, from uniform ones.

    "Normalizing flows on tori and spheres", https://arxiv.org/abs/2002.02428. Before each coupling
    the angles are rotated; its network sees those that it keeps as sines and cosines. The density
    has no seam: it is the same at x and x + 2 pi, and draws are in [-pi, pi].

    Trains on data by `fit`, and on an energy by `fit_to_density`, whose log-density should repeat.

    Example:
        flow = tfflows.energies.TorusFlow(2)
        flow.compile(keras.optimizers.Adam(3e-3))
        flow.fit_to_density(lambda x: 2 * keras.ops.cos(x[:, 0] - x[:, 1]))

    Args:
        dims: angles, at least 1.
        num_couplings: couplings, two by two: one pair keeps halves of the angles, the next one
            every second angle.
        hidden_units: widths of each coupling's network.
        num_bins: pieces of each spline.
        activation: within the networks; a smooth one keeps the density smooth.
    """

    def __init__(
        self,
        dims: int,
        num_couplings: int = 4,
        hidden_units: Sequence[int] = (64, 64),
        num_bins: int = 8,
        activation: str = "silu",
        dtype=None,
        **kwargs,
    ):
        check_positive(dims=dims, num_couplings=num_couplings)
        layers = []
        for number in range(num_couplings):
            network = MLP(hidden_units, activation, dtype=dtype)
            spline = {"num_bins": num_bins, "bound": math.pi, "circular": True}
            partition = PARTITIONS[number // 2 % 2]
            layers.append(Rotate(dtype=dtype))
            layers.append(SplineCoupling(partition, number % 2, network, **spline, dtype=dtype))
        layers.append(Rotate(dtype=dtype))
        super().__init__(layers, (dims,), Uniform(dtype=dtype), dtype=dtype, **kwargs)
