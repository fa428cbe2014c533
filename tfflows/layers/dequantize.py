"""Uniform dequantization (Uria et al. 2013; Theis et al. 2016, section 3.1)."""

import math

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor, repeat_log_det
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Dequantize(FlowLayer):
    """Turn integers 0..levels-1 into real numbers in [0, 1) by adding uniform noise.

        z = (x + u) / levels,  u ~ U[0, 1)    log_det = -dims log(levels)
        x = floor(levels z)

    for x `[batch, *event]`. The mean log-density of z bounds the discrete log-likelihood of x from
    below. Training draws fresh noise each step. Otherwise the noise of a row comes from a hash of
    the row itself: the same x has the same log-density, alone or in a batch, on every backend and
    in a served model. What is not an integer in 0..levels-1 has no density: its log-det is NaN.

    Args:
        levels: number of grey levels, 2 to 2**19: 256 for 8-bit images.
        seed: integer seed of the noise in training.
    """

    def __init__(self, levels: int = 256, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(levels, int | np.integer) or not 2 <= levels <= 2**19:
            raise ValueError(f"levels must be an integer from 2 to 2**19. Received: {levels!r}")
        self.levels = int(levels)
        self.data_range = (0, self.levels - 1)
        # On this grid x + u is exact in float32, and so is its floor.
        self._noise_steps = 2 ** min(14, 23 - (self.levels - 1).bit_length())
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def check_data(self, x, names=None):
        super().check_data(x, names)
        if np.issubdtype(x.dtype, np.integer):
            return
        fractions = x[x != np.floor(x)]
        if fractions.size:
            is_scaled = x.min() >= 0 and x.max() <= 1 and self.levels > 2
            top = self.levels - 1
            hint = f"; multiply pixels from 0 to 1 by {top} and round them" if is_scaled else ""
            raise ValueError(
                "The flow dequantizes, and expects whole numbers such as raw pixels. "
                f"Received: {fractions.size} others, the first {fractions[0]:g}{hint}"
            )

    def _uniform(self, x, training, draw):
        if training:
            return rng.rows_of_replica(rng.uniform, self.seed_generator, ops.shape(x), x.dtype)
        rows = rng.row_seeds(ops.cast(ops.clip(x, 0, self.levels - 1), "int32"))
        return rng.row_uniform(rows, self.event_shape, self.compute_dtype, draw)

    def _on_grid(self, noise):
        return (ops.floor(noise * self._noise_steps) + 0.5) / self._noise_steps

    def _noise(self, x, training, draw):
        """Noise of x's shape, and its log-density `[batch]`."""
        return self._on_grid(self._uniform(x, training, draw)), repeat_log_det(0.0, x)

    def forward_draw(self, x: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """z and log_det with the noise number `draw` of each row; 0 is that of the layer's call."""
        return self._dequantize(ops.cast(x, self.compute_dtype), False, ops.cast(draw, "int32"))

    def _forward(self, x, condition=None, training=False):
        return self._dequantize(x, training)

    def _with_noise(self, x, training, draw):
        """z and log_det of levels x."""
        noise, log_density = self._noise(x, training, draw)
        log_det = repeat_log_det(-math.prod(self.event_shape) * math.log(self.levels), x)
        return (x + noise) / self.levels, log_det - log_density

    def _dequantize(self, x, training, draw=0):
        z, log_det = self._with_noise(x, training, draw)
        axes = tuple(range(1, len(x.shape)))
        is_level = ops.logical_and(x >= 0, x < self.levels)
        outside = ops.logical_not(ops.all(ops.logical_and(is_level, x == ops.floor(x)), axis=axes))
        return z, ops.where(outside, ops.cast(math.nan, log_det.dtype), log_det)

    def _inverse(self, z, condition=None, training=False):
        x = ops.cast(ops.clip(ops.floor(z * self.levels), 0, self.levels - 1), z.dtype)
        log_det = math.prod(self.event_shape) * math.log(self.levels)
        return x, repeat_log_det(log_det, z)

    def get_config(self):
        return {**super().get_config(), "levels": self.levels, "seed": self.seed}
