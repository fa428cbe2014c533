"""Affine transforms of each element."""

import keras
from keras import ops

from tfflows.transforms.log_scale import log_scale_bound
from tfflows.transforms.transform import Transform


@keras.saving.register_keras_serializable(package="tfflows")
class Shift(Transform):
    """z = x + shift, log dz/dx = 0."""

    num_parameters = 1

    def forward(self, x, parameters):
        (shift,) = parameters
        return x + shift, ops.zeros_like(x)

    def inverse(self, z, parameters):
        (shift,) = parameters
        return z - shift, ops.zeros_like(z)


@keras.saving.register_keras_serializable(package="tfflows")
class Affine(Transform):
    """z = x exp(log_scale) + shift, log dz/dx = log_scale = bound(s); s, shift are the parameters.

    Args:
        log_scale: how s is bounded: "soft_clip" (scales 1e-3 to 1e3), "two_sigmoid" (1e-3 to 2), or
            a number c, for scales of 1 / c to c by a soft clip.
    """

    num_parameters = 2

    def __init__(self, log_scale: str | float = "soft_clip"):
        self._bound = log_scale_bound(log_scale)
        self.log_scale = log_scale

    def forward(self, x, parameters):
        s, shift = parameters
        log_scale = self._bound(s)
        return x * ops.exp(log_scale) + shift, log_scale

    def inverse(self, z, parameters):
        s, shift = parameters
        log_scale = self._bound(s)
        return (z - shift) * ops.exp(-log_scale), -log_scale

    def get_config(self):
        return {"log_scale": self.log_scale}
