"""The logit of data in an interval (Dinh et al. 2017, RealNVP, section 4.1)."""

import math

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.utils.checks import refuse_outside


@keras.saving.register_keras_serializable(package="tfflows")
class Logit(FlowLayer):
    """Map x in [low, high], `[batch, *event]`, to the real line.

        y = alpha + (1 - 2 alpha) (x - low) / (high - low)      z = log(y) - log(1 - y)
        log_det = sum(log(1 - 2 alpha) - log(high - low) - log(y) - log(1 - y))

    With alpha above 0 it is a bijection of the interval and a margin beyond both ends, the share
    alpha / (1 - 2 alpha) of its length, where samples may fall as well; farther out it gives NaN.
    With alpha=0 it is one of the open interval, which samples never leave; the ends have no
    density.

    Args:
        alpha: keeps the ends finite, in [0, 0.5): 1e-6 for MNIST and real data, 0.05 for natural
            images, whose samples are rounded to levels, 0 for real data inside (low, high).
        low, high: ends of the interval, in the units of x.

    Example:
        >>> Logit(0, low=0, high=100)(np.array([[50.0, 99.0]])).numpy().round(3)
        array([[0.   , 4.595]], dtype=float32)
    """

    def __init__(self, alpha: float = 1e-6, low: float = 0.0, high: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(alpha, int | float) or not 0 <= alpha < 0.5:
            raise ValueError(f"alpha must be in [0, 0.5). Received: {alpha!r}")
        ends = np.array([low, high], self.compute_dtype)
        if not (np.isfinite(ends).all() and ends[0] < ends[1]):
            raise ValueError(f"Expected finite `low` < `high`. Received: {low!r}, {high!r}")
        self.alpha = alpha
        self.low, self.high = float(low), float(high)
        length = self.high - self.low
        margin = (alpha / (1 - 2 * alpha) + 1e-6) * length if alpha else 0.0  # samples fall there
        self.data_range = (self.low - margin, self.high + margin)
        # The numbers next to the ends; beside 0 the least that is not subnormal.
        least = np.finfo(ends.dtype).tiny
        inner = np.nextafter(ends, ends[::-1])
        self._inner = [float(np.copysign(max(abs(each), least), each)) for each in inner]

    def check_data(self, x, names=None):
        if self.alpha:
            return super().check_data(x, names)
        rounded = x.astype(self.compute_dtype)
        outside = ~((rounded >= self._inner[0]) & (rounded <= self._inner[1]))
        return refuse_outside(outside, x, f"numbers in ({self.low}, {self.high})", names)

    def _forward(self, x, condition=None, training=False):
        length, slope = self.high - self.low, 1 - 2 * self.alpha
        log_y = ops.log(self.alpha * length + slope * (x - self.low))
        # 1 - y written so that x = high leaves alpha exactly, not a difference of large terms.
        log_1_minus_y = ops.log(self.alpha * length + slope * (self.high - x))
        log_slope = math.log1p(-2 * self.alpha) + math.log(length)
        return log_y - log_1_minus_y, sum_event(log_slope - log_y - log_1_minus_y)

    def _inverse(self, z, condition=None, training=False):
        length = self.high - self.low
        if self.alpha:
            x = self.low + length * ((ops.sigmoid(z) - self.alpha) / (1 - 2 * self.alpha))
        else:  # from the nearer end, so that a small distance from it is not rounded away
            near_low, near_high = length * ops.sigmoid(z), length * ops.sigmoid(-z)
            x = ops.where(z < 0, self.low + near_low, self.high - near_high)
            x = ops.clip(x, *self._inner)
        log_slope = -ops.softplus(z) - ops.softplus(-z)  # log sigmoid'(z)
        return x, sum_event(log_slope + (math.log(length) - math.log1p(-2 * self.alpha)))

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "low": self.low, "high": self.high}
