"""The uniform distribution on a box, or on a torus."""

import math

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.distributions.distribution import Distribution

MAX_ROUNDING = 8  # by which what made z may leave the box, in units of the last place


@keras.saving.register_keras_serializable(package="tfflows")
class Uniform(Distribution):
    """Independent uniform numbers in [low, high]: log p(z) = -dims log(high - low), -inf outside.

    The flow's layers must end in the box: by `layers.Rotate` on a torus, whose angles are in
    [-pi, pi], or by circular splines. A flow onto the real line leaves it, and has draws or data
    without density. Temperatures above 1 leave it too.

    Args:
        low, high: ends of the interval.

    Example:
        coupling = tfflows.layers.SplineCoupling(bound=math.pi, circular=True)
        layers = [tfflows.layers.Rotate(), coupling, tfflows.layers.Rotate()]
        flow = tfflows.Flow(layers, (2,), base=tfflows.distributions.Uniform())
    """

    def __init__(self, low: float = -math.pi, high: float = math.pi, **kwargs):
        super().__init__(**kwargs)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"Expected finite `low` < `high`. Received: {low!r}, {high!r}")
        self.low, self.high = low, high

    def _log_prob(self, z, condition):
        eps = float(np.finfo(keras.backend.standardize_dtype(z.dtype)).eps)
        rounding = MAX_ROUNDING * eps * max(abs(self.low), abs(self.high))
        inside = ops.logical_and(z >= self.low - rounding, z <= self.high + rounding)
        # `where` would make Python's numbers float32.
        level = ops.full_like(z, -math.log(self.high - self.low))
        each = ops.where(inside, level, ops.full_like(z, -math.inf))
        return sum_event(ops.where(ops.isnan(z), z, each))

    def _draw(self, noise, condition, temperature):
        place = 0.5 + temperature * (noise.uniform(self.event_shape) - 0.5)
        return self.low + (self.high - self.low) * place

    def get_config(self):
        return {**super().get_config(), "low": self.low, "high": self.high}
