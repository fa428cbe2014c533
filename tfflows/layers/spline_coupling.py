"""Rational-quadratic spline coupling (Durkan et al. 2019, Neural Spline Flows, section 3)."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfflows.layers.coupling import Coupling
from tfflows.transforms import RationalQuadraticSpline


@keras.saving.register_keras_serializable(package="tfflows")
class SplineCoupling(Coupling):
    """Bend part of x along monotone curves that a network draws from the rest (RQ-NSF(C)).

        z_kept = x_kept
        z_moved = spline(x_moved; network(x_kept, condition))          log_det = sum(log dz/dx)

    The curves are those of `RationalQuadraticSpline`, which move what lies in [-bound, bound]:
    bring data there first. All elements of a circular coupling are angles, -bound and bound the
    same point, and the network sees the kept ones as sines and cosines.

    Arguments, shapes and errors are those of `Coupling`, and

    Args:
        num_bins: pieces of each curve, 2 to 999.
        bound: half the length of the interval in which x is moved.
        circular: whether elements of x are angles in [-bound, bound].
    """

    def __init__(
        self,
        partition: str | Sequence | np.ndarray = "half",
        parity: int = 0,
        conditioner: keras.layers.Layer | None = None,
        num_bins: int = 8,
        bound: float = 3.0,
        circular: bool = False,
        **kwargs,
    ):
        super().__init__(partition, parity, conditioner, **kwargs)
        self._spline = RationalQuadraticSpline(num_bins, bound, circular)

    def _make_transform(self):
        return self._spline

    def _embed(self, kept):
        if not self._spline.circular:
            return kept
        angle = kept * (math.pi / self._spline.bound)
        return ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)

    def _structure_arguments(self):
        return {**super()._structure_arguments(), **self._spline.get_config()}

    def get_config(self):
        return {**super().get_config(), **self._spline.get_config()}
