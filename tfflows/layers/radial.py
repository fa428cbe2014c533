"""Radial flows (Rezende and Mohamed 2015, equation 14 and appendix A.2)."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import cut_far, sum_event
from tfflows.layers.amortized import AmortizedLayer
from tfflows.layers.tanh_unit import bounded_product

MIN_ALPHA = 1e-3
TINY = 1e-30  # of squares, whose root has no gradient at 0


@keras.saving.register_keras_serializable(package="tfflows")
class Radial(AmortizedLayer):
    """Move vectors x `[batch, size]` away from a centre, or towards it, the more the nearer.

        z = x + beta (x - centre) / (alpha + r),  r = |x - centre|
        log_det = (size - 1) log(1 + s q) + log(1 + s q^2),  q = alpha / (alpha + r)

    alpha = softplus(.) + 1e-3 is positive, and beta = s alpha with s above -0.99 by the same
    function as in `Planar`, so that the map is a bijection. The centre, alpha and s are weights, or
    follow from the condition: see `AmortizedLayer`. The inverse is the root of a quadratic in r.

    Example:
        >>> layer = Radial()
        >>> x = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
        >>> bool(np.allclose(layer.inverse(layer(x)), x, atol=1e-5))
        True
    """

    def _parameter_shapes(self, size):
        return {"centre": ((size,), 1.0), "alpha": ((), 0.1), "strength": ((), 0.01)}

    def _ball(self, condition):
        """centre, alpha and s, the last two of shape [batch or 1]."""
        centre, alpha, strength = self._parameters(condition)
        return centre, ops.softplus(alpha) + MIN_ALPHA, bounded_product(strength)[0]

    def _forward(self, x, condition=None, training=False):
        centre, alpha, strength = self._ball(condition)
        away = cut_far(x) - centre
        r = _norm(away)
        moved = strength * alpha / (alpha + r)
        return x + moved[:, None] * away, self._log_det(r, alpha, strength)

    def _inverse(self, z, condition=None, training=False):
        centre, alpha, strength = self._ball(condition)
        away = cut_far(z) - centre
        distance = _norm(away)
        # r^2 + p r - alpha |z - centre| = 0; of the root's two forms the one without cancelling.
        p = alpha * (1 + strength) - distance
        discriminant = ops.sqrt(p * p + 4 * alpha * distance)
        is_near = p >= 0
        top = ops.where(is_near, 2 * alpha * distance, discriminant - p)
        r = top / ops.where(is_near, p + discriminant, 2.0)
        q = alpha / (alpha + r)
        moved = strength * q / _stretch(strength, q)
        return z - moved[:, None] * away, -self._log_det(r, alpha, strength)

    def _log_det(self, r, alpha, strength):
        q = alpha / (alpha + r)
        sideways = ops.log(_stretch(strength, q))
        return (self.event_shape[0] - 1) * sideways + ops.log(_stretch(strength, q * q))


def _stretch(strength, q):
    """1 + s q, q in [0, 1], without cancelling where s is near -1."""
    return (1 - q) + (1 + strength) * q


def _norm(vectors):
    return ops.sqrt(ops.maximum(sum_event(ops.square(vectors)), TINY))
