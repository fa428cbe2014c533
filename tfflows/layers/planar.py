"""Planar flows (Rezende and Mohamed 2015, equations 10 to 13 and appendix A.1)."""

import math

import keras
from keras import ops

from tfflows.backend.special import tanh
from tfflows.backend.tensor_ops import cut_far
from tfflows.layers import tanh_unit
from tfflows.layers.amortized import AmortizedLayer

MAX_ELEMENT = 100.0  # of w and u: rounding of u times w has to stay below the bound of w.u
TINY = 1e-20  # of |w|^2; the constraint moves u by at most |u|^2 |w|, which is nothing there


@keras.saving.register_keras_serializable(package="tfflows")
class Planar(AmortizedLayer):
    """Move vectors x `[batch, size]` along u, by how far they are across a plane.

        z = x + u' tanh(w.x + b)              log_det = log(1 + w.u' tanh'(w.x + b))
        u' = u + (m(w.u) - w.u) w / |w|^2

    m keeps w.u' above -0.99, so that the map is a bijection: m(t) = t from 0 on, and below it an
    increasing function that nears its bound as 1 / t (the paper has a softplus, which moves u even
    where it is 0). w, b and u are weights, or follow from the condition: see `AmortizedLayer`;
    elements of w and u are cut at +-100.
    The inverse is a root of w.x + b + w.u' tanh(w.x + b) = w.z + b, in the one unknown w.x + b.
    A posterior whose samples have to be cheap takes `Invert(Planar())`.

    Example:
        >>> layer = Planar()
        >>> x = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
        >>> bool(np.allclose(layer.inverse(layer(x)), x, atol=1e-5))
        True
    """

    def _parameter_shapes(self, size):
        return {"w": ((size,), 1 / math.sqrt(size)), "u": ((size,), 0.01), "b": ((), 0.1)}

    def _plane(self, condition):
        """w, b, u' and w.u', the last of shape [batch or 1]."""
        w, u, b = self._parameters(condition)
        w, u = cut_far(w, MAX_ELEMENT), cut_far(u, MAX_ELEMENT)
        product, added = tanh_unit.bounded_product(ops.sum(w * u, axis=1))
        squares = ops.maximum(ops.sum(w * w, axis=1), TINY)
        u = u + (added / squares)[:, None] * w
        # What cancelling took from u is far more than rounding where u was large.
        missing = product - ops.sum(w * u, axis=1)
        return w, b, u + (missing / squares)[:, None] * w, product

    def _forward(self, x, condition=None, training=False):
        w, b, u, product = self._plane(condition)
        h = tanh(ops.sum(w * cut_far(x), axis=1) + b)
        return x + u * h[:, None], ops.log(tanh_unit.slope(product, h))

    def _inverse(self, z, condition=None, training=False):
        w, b, u, product = self._plane(condition)
        target = ops.sum(w * cut_far(z), axis=1) + b
        across = tanh_unit.root(target, product, ops.ones_like(target), ops.zeros_like(target))
        # A Newton step from the root has the gradient of the implicit function.
        h = tanh(across)
        slope = ops.stop_gradient(tanh_unit.slope(product, h))
        h = tanh(across - (across + product * h - target) / slope)
        return z - u * h[:, None], -ops.log(tanh_unit.slope(product, h))
