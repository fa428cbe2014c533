"""Arcsinh: the middle of the data as it is, its tails as logarithms."""

import math

import keras
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Arcsinh(FlowLayer):
    """Map x `[batch, *event]` by the inverse hyperbolic sine, elementwise.

        z = scale arcsinh(x / scale)          log_det = -sum(log cosh(z / scale))

    Near zero z is x; far out it is a logarithm, of either sign (Johnson 1949's S_U system). After
    Standardize it brings in the tails of skewed columns, which need not be positive.

    Args:
        scale: how far x stays about as it is; positive.

    Example:
        >>> Arcsinh(2.0)(np.array([[0.1, -1.0, 1000.0]])).numpy().round(3)
        array([[ 0.1  , -0.962, 13.816]], dtype=float32)
    """

    def __init__(self, scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        if not scale > 0:
            raise ValueError(f"scale must be positive. Received: {scale!r}")
        self.scale = float(scale)

    def _forward(self, x, condition=None, training=False):
        y = _arcsinh(x / self.scale)
        return self.scale * y, -sum_event(_log_cosh(y))

    def _inverse(self, z, condition=None, training=False):
        y = ops.clip(z / self.scale, -80.0, 80.0)  # beyond it sinh leaves float32
        grown = ops.expm1(ops.abs(y))
        x = self.scale * ops.sign(y) * (grown + grown / (grown + 1)) / 2
        return x, sum_event(_log_cosh(y))

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def _arcsinh(u):
    """In the dtype of u, which `ops.arcsinh` does not keep on each backend, and for any size."""
    size = ops.abs(u)
    small = ops.minimum(size, 1e9)  # whose square is finite
    y = ops.log1p(small + small**2 / (1 + ops.sqrt(1 + small**2)))
    return ops.sign(u) * (y + ops.log(ops.maximum(size / 1e9, 1.0)))


def _log_cosh(y):
    y = ops.abs(y)
    return y + ops.log1p(ops.exp(-2 * y)) - math.log(2)
