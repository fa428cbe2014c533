"""The distribution function of a histogram (Müller et al. 2019, Neural Importance Sampling)."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.transforms.transform import Transform

UNIFORM_SHARE = 1e-4  # of the mass, in equal parts in all bins, so that none is too small to find


@keras.saving.register_keras_serializable(package="tfflows")
class HistogramCDF(Transform):
    """z = logit(F(x)), F(x) = sum_j p_j clip(K u - j, 0, 1), u = (x - low) / (high - low).

        log dz/dx = log(K p_k / (high - low)) - log(F(x)) - log(1 - F(x)) in bin k,
        p = (1 - e) softmax(parameters) + e / K,   e = 1e-4

    F is the piecewise-linear curve of https://arxiv.org/abs/1808.03856, the distribution function
    of a histogram of K equal bins. On a base of independent standard logistics one layer of it is
    the density of the histogram. Where the data are integers 0..K-1 plus uniform noise, over K
    (`Dequantize(K)`), that is a classifier of each integer given those before. In
    `TransformerAutoregressive` the parameters see the bins of those alone, so that the density is
    exactly the integers' probability, whatever the noise; in other layers they see the noise too.

    F and 1 - F are sums of their own, so that both tails are exact in float32. Data outside of
    [low, high] have no density: their log dz/dx is NaN. An element has K parameters; equal ones are
    a uniform density.

    Args:
        num_bins: K, at least 2.
        low, high: ends of the interval.
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
        masses, bins = self._masses(parameters), self._bins(x)
        place = ops.clip(self.num_bins * (x - self.low) / (self.high - self.low), *self._ends(x))
        place = place[..., None]
        here = ops.logical_and(place >= bins, place < bins + 1)
        below = ops.sum(masses * ops.clip(place - bins, 0.0, 1.0), axis=-1)
        above = ops.sum(masses * ops.clip(bins + 1 - place, 0.0, 1.0), axis=-1)
        log_slope = self._log_slope(masses, here, below, above)
        inside = ops.logical_and(x >= self.low, x <= self.high)
        log_slope = ops.where(inside, log_slope, ops.full_like(x, math.nan))
        return ops.log(below) - ops.log(above), log_slope

    def inverse(self, z, parameters):
        masses, bins = self._masses(parameters), self._bins(z)
        below, above = ops.sigmoid(z), ops.sigmoid(-z)
        is_low = z < 0  # each side is counted from the end to which it is near
        fixed = ops.stop_gradient(masses)
        from_low = ops.cumsum(fixed, axis=-1) <= below[..., None]
        from_high = ops.flip(ops.cumsum(ops.flip(fixed, -1), axis=-1), -1) >= above[..., None]
        passed = ops.where(is_low, _count(from_low, z), _count(from_high, z) - 1)
        number = ops.clip(passed, 0, self.num_bins - 1)[..., None]
        here = number == bins
        mass = ops.sum(ops.where(here, masses, 0.0), axis=-1)
        left = below - ops.sum(ops.where(bins < number, masses, 0.0), axis=-1)
        right = above - ops.sum(ops.where(bins > number, masses, 0.0), axis=-1)
        share = ops.where(is_low, left / mass, 1 - right / mass)
        eps = float(np.finfo(keras.backend.standardize_dtype(z.dtype)).eps)
        place = ops.clip(number[..., 0] + ops.clip(share, 0.0, 1.0 - eps), *self._ends(z))
        x = self.low + (self.high - self.low) * place / self.num_bins
        return x, -self._log_slope(masses, here, below, above)

    def seen(self, x):
        """The center of x's bin: where x is within the bin is noise, and changes no probability."""
        length = self.high - self.low
        number = ops.floor(self.num_bins * (x - self.low) / length)
        number = ops.cast(ops.clip(number, 0, self.num_bins - 1), x.dtype)  # JAX's floor is float32
        return self.low + length * (ops.stop_gradient(number) + 0.5) / self.num_bins

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

    def _ends(self, like):
        """The smallest and the largest place within the bins, where F and 1 - F are not 0."""
        eps = float(np.finfo(keras.backend.standardize_dtype(like.dtype)).eps)
        return eps, self.num_bins * (1 - eps)

    def _log_slope(self, masses, here, below, above):
        # A sum and not a gather, whose gradient would scatter.
        mass = ops.sum(ops.where(here, masses, 0.0), axis=-1)
        slope = mass * (self.num_bins / (self.high - self.low))
        return ops.log(slope) - ops.log(below) - ops.log(above)

    def get_config(self) -> dict[str, Any]:
        return {"num_bins": self.num_bins, "low": self.low, "high": self.high}


def _count(flags, like):
    return ops.sum(ops.cast(flags, like.dtype), axis=-1)
