"""The map y = x + d tanh(w x + b) of numbers, which planar and Sylvester flows are made of."""

import keras
import numpy as np
from keras import ops

from tfflows.backend.roots import increasing_root
from tfflows.backend.special import tanh
from tfflows.backend.tensor_ops import Tensor

# Of dy/dx, so that the way back enlarges rounding at most a hundredfold.
MIN_SLOPE = 0.01
_MARGIN = 1e-5  # of the interval of a root, against rounding of its ends


def slope(product: Tensor, h: Tensor) -> Tensor:
    """dy/dx = 1 + d w (1 - h^2), where h = tanh(w x + b): a sum of two numbers above 0.

    Args:
        product: d w, above -1.
        h: values of tanh.
    """
    squares = h * h
    return squares + (1 + product) * ops.maximum(1 - squares, 0.0)


def bounded_product(t: Tensor) -> tuple[Tensor, Tensor]:
    """An increasing function of t above MIN_SLOPE - 1, which is t from 0 on, and what it adds to t.

    Below 0 it is -k n / (k + n), n = -t, k = 1 - MIN_SLOPE: as smooth as its square there, so that
    what it adds, n^2 / (k + n), can be divided by n^2.
    """
    limit = 1 - MIN_SLOPE
    below = ops.relu(-t)
    share = below / (limit + below)
    return ops.relu(t) - limit * share, below * share


def root(y: Tensor, d: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """x without gradient, from tensors of shapes that broadcast to y's; d w above -1."""
    y, d, w, b = (ops.stop_gradient(tensor) for tensor in (y, d, w, b))
    size = ops.abs(d) + ops.abs(y)
    reach = ops.abs(d) + _MARGIN * size
    eps = float(np.finfo(keras.backend.standardize_dtype(y.dtype)).eps)
    return increasing_root(
        lambda x: x - y + d * tanh(w * x + b), y - reach, y + reach, rounding=2 * eps * size
    )
