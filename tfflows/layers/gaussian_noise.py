"""Grey levels with Gaussian noise (Zhai et al. 2024, TarFlow: noise augmented training)."""

import math

import keras
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor, repeat_log_det
from tfflows.layers.dequantize import Dequantize


@keras.saving.register_keras_serializable(package="tfflows")
class GaussianNoise(Dequantize):
    """Scale integers 0..levels-1 to [-1, 1] and add Gaussian noise.

        z = 2 x / (levels - 1) - 1 + noise e,  e ~ N(0, 1)    log_det = dims log(2 / (levels - 1))
        x = round((z + 1) (levels - 1) / 2), cut to 0..levels-1

    for x `[batch, *event]`. The density is that of noisy data, in the units of x, and neither a
    probability of the levels nor a bound of it: a flow that begins with this layer has no bits per
    dimension. Noise that is wider than uniform noise of a level gives smoother densities, whose
    samples look better once the noise is taken off: see `TarFlow.denoise`. Training draws fresh
    noise each step. Otherwise the noise of a row comes from a hash of the row itself, as in
    `Dequantize`. The inverse gives x back only where the noise is below half a level,
    1 / (levels - 1). What is not an integer in 0..levels-1 has no density: its log-det is NaN.

    Args:
        noise: standard deviation of the noise, in units of data from -1 to 1: above 0. The paper
            takes 0.05 and more; 0.05 is 6.4 of 256 levels.
        levels: number of grey levels, 2 to 2**19: 256 for 8-bit images.
        seed: integer seed of the noise in training.

    Raises:
        ValueError: an argument is out of range.

    Example:
        layers = [tfflows.layers.GaussianNoise(0.05, levels=256), ...]
        flow = tfflows.Flow(layers, (28, 28, 1))
    """

    def __init__(self, noise: float = 0.05, levels: int = 256, seed: int | None = None, **kwargs):
        super().__init__(levels, seed, **kwargs)
        if not 0 < noise < math.inf:
            raise ValueError(f"noise must be finite and above 0. Received: {noise!r}")
        self.noise = float(noise)

    def scale(self, x: Tensor) -> Tensor:
        """x `[batch, *event]` in units of -1 to 1, without noise."""
        return x * (2 / (self.levels - 1)) - 1

    def unscale(self, z: Tensor) -> Tensor:
        """z `[batch, *event]` in the units of x, not rounded."""
        return (z + 1) * ((self.levels - 1) / 2)

    def _normal(self, x, training, draw):
        if training:
            return rng.rows_of_replica(rng.normal, self.seed_generator, ops.shape(x), x.dtype)
        return 2**0.5 * ops.erfinv(2 * self._uniform(x, training, draw) - 1)

    def _with_noise(self, x, training, draw):
        z = self.scale(x) + self.noise * self._normal(x, training, draw)
        return z, repeat_log_det(-self._log_volume, x)

    def _inverse(self, z, condition=None, training=False):
        x = ops.cast(ops.clip(ops.round(self.unscale(z)), 0, self.levels - 1), z.dtype)
        return x, repeat_log_det(self._log_volume, z)

    @property
    def _log_volume(self):
        return math.prod(self.event_shape) * math.log((self.levels - 1) / 2)

    def get_config(self):
        return {**super().get_config(), "noise": self.noise}
