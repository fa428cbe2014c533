"""Roots of increasing functions, found for all elements of a tensor at once."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor

MAX_STEPS = 200  # twice as many as bisection takes from the ends of float64


def increasing_root(
    function: Callable, low: Tensor, high: Tensor, rounding: Tensor | float = 0.0
) -> Tensor:
    """x in [low, high] where an increasing function is 0, elementwise and without gradient.

    Chandrupatla's method (1997): an interval that holds the root is cut by inverse quadratic
    interpolation where that is safe, by halves elsewhere. It stops when every
    interval has an end where the function is within `rounding` of 0, or is as short as rounding of
    x. A Newton step from the root gives it the gradient of the implicit function.

    Args:
        function: x to values of its shape; reads tensors without gradient only.
        low, high: ends with function(low) <= 0 <= function(high).
        rounding: error of the function's values near a root, at least 0. Below it their signs are
            noise, and a search that follows them halves intervals for three times as many steps.
    """
    low, high = ops.stop_gradient(low), ops.stop_gradient(high)
    resolution = 2 * float(np.finfo(keras.backend.standardize_dtype(low.dtype)).eps)

    def shortest(a, b, f_a, f_b):
        """The end nearer to the root, and how long the interval may stay."""
        best = ops.where(ops.abs(f_a) < ops.abs(f_b), a, b)
        return best, resolution * ops.maximum(ops.abs(best), 1.0)

    def unfinished(count, a, b, c, f_a, f_b, f_c, share):
        is_long = ops.abs(b - a) > 2 * shortest(a, b, f_a, f_b)[1]
        is_far = ops.minimum(ops.abs(f_a), ops.abs(f_b)) > rounding
        return ops.logical_and(count < MAX_STEPS, ops.any(ops.logical_and(is_long, is_far)))

    def cut(count, a, b, c, f_a, f_b, f_c, share):
        x = a + share * (b - a)
        f_x = function(x)
        same = (f_x > 0) == (f_a > 0)
        a, b, c = x, ops.where(same, b, a), ops.where(same, a, b)
        f_a, f_b, f_c = f_x, ops.where(same, f_b, f_a), ops.where(same, f_a, f_b)
        _, tolerance = shortest(a, b, f_a, f_b)
        least = ops.minimum(tolerance / _apart(b - a), 0.5)
        return count + 1, a, b, c, f_a, f_b, f_c, _share(a, b, c, f_a, f_b, f_c, least)

    f_low, f_high = function(low), function(high)
    half = ops.full_like(low, 0.5)
    state = (0, low, high, high, f_low, f_high, f_high, half)
    _, a, b, _, f_a, f_b, _, _ = ops.while_loop(unfinished, cut, state)
    return ops.stop_gradient(shortest(a, b, f_a, f_b)[0])


def _share(a, b, c, f_a, f_b, f_c, least):
    """Where to cut the interval from a to b next, as a share of it from a."""
    place = (a - b) / _apart(c - b)
    rise = (f_a - f_b) / _apart(f_c - f_b)
    is_safe = ops.logical_and(rise * rise < place, (1 - rise) * (1 - rise) < 1 - place)
    to_b, to_c = f_a / _apart(f_b - f_a), f_a / _apart(f_c - f_a)
    quadratic = to_b * f_c / _apart(f_b - f_c) + (c - a) / _apart(b - a) * to_c * (
        f_b / _apart(f_c - f_b)
    )
    return ops.clip(ops.where(is_safe, quadratic, 0.5), least, 1 - least)


def _apart(difference):
    """A difference to divide by: what is chosen where it is 0 does not look at the quotient."""
    return ops.where(difference == 0, ops.ones_like(difference), difference)
