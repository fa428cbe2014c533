"""Give vectors the norms of normal ones (Lyu and Simoncelli 2009, radial Gaussianization)."""

import math

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import cut_far, sum_event
from tfflows.layers.data_dependent_layer import DataDependentLayer
from tfflows.transforms.rational_quadratic import Bin, in_bin, root_in_bin

FAR = 1e15
MAX_SLOPE = 100.0  # of the curve, where norms hardly differ


@keras.saving.register_keras_serializable(package="tfflows")
class RadialGaussianize(DataDependentLayer):
    """Move vectors x `[batch, size]` along their rays, to norms as normal vectors have them.

        z = x e^(v - u),  u = log|x|,  v = log|z| = s(u)      log_det = size (v - u) + log s'(u)

    `adapt` takes s from the norms of data, so that |z| has the chi distribution of `size` degrees
    of freedom: a monotone rational-quadratic curve through quantiles. Below the least of them z is
    a multiple of x, above the largest s is a line, at most as steep. It is not trained. Densities
    of elliptic shape become normal (after `Whiten`), those of patches of images nearly (Neural
    Computation 21, section 3): their scale differs from row to row.

    Args:
        num_bins: pieces of the curve, at least 1.
    """

    needs_vectors = True

    def __init__(self, num_bins: int = 32, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(num_bins, int) or num_bins < 1:
            raise ValueError(f"num_bins must be at least 1. Received: {num_bins!r}")
        self.num_bins = num_bins

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                "RadialGaussianize needs vectors, [batch, size]. "
                f"Received: x of shape {tuple(x_shape)}"
            )

        def add(name, shape):
            return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)

        # Any values of these are a bijection.
        self.start = add("start", (2,))  # u and v at the first knot
        self.log_widths = add("log_widths", (self.num_bins,))
        self.log_heights = add("log_heights", (self.num_bins,))
        self.log_slopes = add("log_slopes", (self.num_bins,))  # at the other knots; 1 at the first

    def _take_statistics(self, rows):
        from scipy.stats import chi  # takes a second to import

        norms = np.linalg.norm(rows, axis=1)
        norms = norms[norms > 0]
        if not len(norms):
            raise ValueError("RadialGaussianize.adapt expects vectors that are not all zero")
        size, tail = rows.shape[1], min(0.1, 10 / len(norms))
        bottom, top = np.log(chi.ppf([tail, 1 - tail], size))
        v = np.linspace(bottom, top, self.num_bins + 1)
        u = np.quantile(np.log(norms), chi.cdf(np.exp(v), size))
        heights = np.diff(v)
        widths = np.maximum(np.diff(u), heights / MAX_SLOPE)
        secants = heights / widths
        # The harmonic mean of both sides' slopes follows the flatter one, and so does not ripple.
        inner = 2 / (1 / secants[1:] + 1 / secants[:-1])
        self.start.assign([u[0], v[0]])
        self.log_widths.assign(np.log(widths))
        self.log_heights.assign(np.log(heights))
        self.log_slopes.assign(np.log([*inner, min(secants[-1], 1)]))

    def _forward(self, x, condition=None, training=False):
        curve, x = self._curve(x.dtype), cut_far(x, 1e38)
        u, above = _log_norm(x, curve.left, curve.width)
        shift, slope = in_bin(u, _choose(curve, u, curve.left))
        shift = shift + curve.slope_right[-1] * above
        return x * ops.exp(shift)[:, None], self.event_shape[0] * shift + ops.log(slope)

    def _inverse(self, z, condition=None, training=False):
        curve = self._curve(z.dtype)
        bottom = curve.left + curve.offset
        v, above = _log_norm(z, bottom, curve.height)
        piece = _choose(curve, v, bottom)
        u = root_in_bin(v, piece)
        shift, slope = in_bin(u, piece)
        # A step of Newton's method has the gradient, which the root has not.
        u = u - (u + shift - v) / ops.stop_gradient(slope)
        shift, slope = in_bin(u, piece)
        tail = 1 + curve.slope_right[-1]
        shift = shift + (tail - 1) / tail * above
        return z * ops.exp(-shift)[:, None], -self.event_shape[0] * shift - ops.log(slope)

    def _curve(self, dtype):
        """All pieces of s, tensors `[bins]`."""
        start, *logs = (
            ops.cast(weight, dtype)
            for weight in (self.start, self.log_widths, self.log_heights, self.log_slopes)
        )
        width, height, slopes = map(ops.exp, logs)
        left = start[0] + ops.cumsum(width) - width
        bottom = start[1] + ops.cumsum(height) - height
        slope_left = ops.concatenate([ops.ones((1,), dtype), slopes[:-1]])
        gain, offset = height - width, bottom - left
        return Bin(left, width, height, gain, offset, slope_left - 1, slopes - 1)

    def get_config(self):
        return {**super().get_config(), "num_bins": self.num_bins}


def _log_norm(x, starts, lengths):
    """log|x|, moved into the interval of the pieces, and how far above it lies."""
    # Squares of what is far out would overflow; a power of two rounds nothing.
    is_far = ops.max(ops.abs(x), axis=1, initial=0.0) > FAR
    near = ops.where(is_far[:, None], x * 2.0**-80, x)
    squares = ops.maximum(sum_event(ops.square(near)), ops.exp(2 * starts[0]))
    log_norm = 0.5 * ops.log(squares)
    log_norm = ops.where(is_far, log_norm + 80 * math.log(2), log_norm)
    inner = ops.minimum(log_norm, starts[-1] + lengths[-1])
    return inner, log_norm - inner


def _choose(curve, position, starts):
    """The piece that each position lies in, by where the pieces start."""
    index = ops.sum(ops.cast(position[:, None] >= starts[1:], "int32"), axis=1)
    return Bin(*(ops.take(column, index, axis=0) for column in curve))
