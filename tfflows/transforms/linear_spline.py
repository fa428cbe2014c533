"""Piecewise-linear distribution functions (Müller et al. 2019, Neural Importance Sampling)."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.transforms.transform import Transform

UNIFORM_SHARE = 1e-4  # of the mass: float32 tells apart what it leaves of the smallest bin


@keras.saving.register_keras_serializable(package="tfflows")
class LinearSpline(Transform):
    """z = sum_j p_j clip(K x - j, 0, 1), a straight line within each of K equal bins of [0, 1].

        log dz/dx = log(K p_k) in bin k,   p = (1 - e) softmax(parameters) + e / K

    the piecewise-linear curve of https://arxiv.org/abs/1808.03856, here on [low, high]. It is the
    distribution function of a histogram: on a uniform base (`distributions.Uniform(low, high)`) one
    autoregressive layer of it is a density of bins. Where the data are integers 0..K-1 plus uniform
    noise, over K (`Dequantize(K)`), that is a classifier of each integer given those before, and
    its density is the integer's probability: the noise costs next to nothing.

    Beyond the interval z = x. An element has K parameters; equal ones are the identity. A share
    e = 1e-4 of the mass is equal in all bins, so that z in float32 says which bin x was in.

    Args:
        num_bins: K, at least 2.
        low, high: ends of the interval.

    Example:
        >>> transform = LinearSpline(2)
        >>> z, log_slope = transform.forward(x, [a, b])  # x, a and b of one shape
    """

    def __init__(self, num_bins: int = 16, low: float = 0.0, high: float = 1.0):
        if not isinstance(num_bins, int) or num_bins < 2:
            raise ValueError(f"num_bins must be an integer of at least 2. Received: {num_bins!r}")
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"Expected finite `low` < `high`. Received: {low!r}, {high!r}")
        self.num_bins = num_bins
        self.low, self.high = low, high
        self.num_parameters = num_bins

    def forward(self, x, parameters):
        place, inside = self._enter(x)
        masses = self._masses(parameters)
        covered = ops.clip(place[..., None] * self.num_bins - self._bins(x), 0.0, 1.0)
        here = self._one_hot(ops.floor(place * self.num_bins), x)
        return self._leave(x, ops.sum(masses * covered, -1), self._log_slope(masses, here), inside)

    def inverse(self, z, parameters):
        place, inside = self._enter(z)
        masses = self._masses(parameters)
        knots = ops.cumsum(ops.stop_gradient(masses), axis=-1)
        passed = ops.cast(knots <= place[..., None], z.dtype)
        bin_of_z = ops.minimum(ops.sum(passed, axis=-1), self.num_bins - 1)
        here = self._one_hot(bin_of_z, z)
        before = ops.cast(self._bins(z) < bin_of_z[..., None], z.dtype)
        left, mass = ops.sum(masses * before, axis=-1), ops.sum(masses * here, axis=-1)
        share = ops.clip((place - left) / mass, 0.0, 1.0 - float(_eps(z)))
        x = (bin_of_z + share) / self.num_bins
        return self._leave(z, x, -self._log_slope(masses, here), inside)

    def _enter(self, x):
        """x in units of the interval, and where it lies within; 0 elsewhere."""
        inside = ops.logical_and(x >= self.low, x <= self.high)
        place = (x - self.low) / (self.high - self.low)
        return ops.where(inside, place, ops.zeros_like(x)), inside

    def _leave(self, x, place, log_slope, inside):
        moved = self.low + (self.high - self.low) * ops.clip(place, 0.0, 1.0)
        return ops.where(inside, moved, x), ops.where(inside, log_slope, ops.zeros_like(x))

    def split(self, outputs):
        """The parameters as one tensor `[..., channels, K]`; hundreds take long to stack."""
        shape = (*ops.shape(outputs)[:-1], self.num_bins, outputs.shape[-1] // self.num_bins)
        return ops.swapaxes(ops.reshape(outputs, shape), -1, -2)

    def _masses(self, parameters):
        """p of the bins, `[..., K]`, of that tensor or of a sequence of K."""
        if isinstance(parameters, list | tuple):
            parameters = ops.stack(parameters, axis=-1)
        softmax = ops.softmax(parameters, axis=-1)
        return (1 - UNIFORM_SHARE) * softmax + UNIFORM_SHARE / self.num_bins

    def _bins(self, like):
        return ops.cast(np.arange(self.num_bins), like.dtype)

    def _one_hot(self, number, like):
        """1 in the bin of that number, which is the last one for the end of the interval."""
        number = ops.minimum(number, self.num_bins - 1)
        return ops.cast(ops.equal(self._bins(like), number[..., None]), like.dtype)

    def _log_slope(self, masses, here):
        # A sum and not a gather, whose gradient would scatter.
        return ops.log(ops.sum(masses * here, axis=-1) * self.num_bins)

    def get_config(self) -> dict[str, Any]:
        return {"num_bins": self.num_bins, "low": self.low, "high": self.high}


def _eps(x: Tensor) -> np.floating:
    """The rounding of x's dtype."""
    return np.finfo(keras.backend.standardize_dtype(x.dtype)).eps
