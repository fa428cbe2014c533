"""Monotone rational quadratic interpolation through knots, with straight tails.

The interpolant of Gregory and Delbourgo (1982), "Piecewise rational quadratic interpolation to
monotonic data", which neural spline flows took up (Durkan et al. 2019, equations 4 to 8,
https://arxiv.org/abs/1906.04032). Here the knots are data, not the output of a network.

Functions take the array module that computes: `numpy` for whole tables in float64, `keras.ops` for
what is compiled or exported.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Knots(NamedTuple):
    """Knots of an increasing function, `[num_knots]` each.

    Attributes:
        x, y: increasing places and values.
        slopes: derivatives at the knots, above 0. Those at the ends are the slopes of the tails.
    """

    x: Any
    y: Any
    slopes: Any


def make_knots(x: ArrayLike, y: ArrayLike) -> Knots:
    """Knots with slopes between those of the chords beside them; of at least two points.

    A tail is not steeper than the way from the middle to its end, so that data a little beyond the
    others get a little less density, not none.
    """
    x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
    chords = np.log(np.diff(y) / np.diff(x))
    widths = np.diff(x)
    share = widths[1:] / (widths[1:] + widths[:-1])
    inner = share * chords[:-1] + (1 - share) * chords[1:]  # geometric means stay above 0
    # A slope far above a chord would put all of its segment's rise into a corner.
    inner = np.minimum(inner, np.minimum(chords[:-1], chords[1:]) + math.log(4))
    middle = len(x) // 2
    low = math.log((y[middle] - y[0]) / (x[middle] - x[0]))
    high = math.log((y[-1] - y[middle - 1]) / (x[-1] - x[middle - 1]))
    ends = min(chords[0], low), min(chords[-1], high)
    return Knots(x, y, np.exp(np.concatenate([ends[:1], inner, ends[1:]])))


def pad_knots(knots: Knots, num_knots: int) -> Knots:
    """The same function with more knots, which lie on its upper tail."""
    steps = np.arange(1, num_knots - len(knots.x) + 1) * (knots.x[-1] - knots.x[-2])
    slope = np.full(len(steps), knots.slopes[-1])
    return Knots(
        np.concatenate([knots.x, knots.x[-1] + steps]),
        np.concatenate([knots.y, knots.y[-1] + steps * slope]),
        np.concatenate([knots.slopes, slope]),
    )


def spline(xp: Any, x: Any, knots: Knots) -> tuple[Any, Any]:
    """The interpolant and the log of its derivative at x `[...]`."""
    x0, x1, y0, y1, d0, d1, chord = _segment(xp, x, knots.x, knots)
    t = xp.clip((x - x0) / (x1 - x0), 0.0, 1.0)
    middle = t * (1 - t)
    denominator = chord + (d0 + d1 - 2 * chord) * middle
    inside = y0 + (y1 - y0) * (chord * t * t + d0 * middle) / denominator
    slope = chord * chord * (d1 * t * t + 2 * chord * middle + d0 * (1 - t) ** 2)
    y = inside + d0 * xp.minimum(x - x0, 0.0) + d1 * xp.maximum(x - x1, 0.0)
    return y, xp.log(slope / (denominator * denominator))


def spline_inverse(xp: Any, y: Any, knots: Knots) -> Any:
    """The x of interpolants y `[...]`."""
    x0, x1, y0, y1, d0, d1, chord = _segment(xp, y, knots.y, knots)
    s = xp.clip(y, y0, y1) - y0
    bend = s * (d0 + d1 - 2 * chord)
    a = (y1 - y0) * (chord - d0) + bend
    b = (y1 - y0) * d0 - bend
    c = -chord * s
    # The root that stays exact where the parabola is almost a line.
    root = xp.sqrt(xp.maximum(b * b - 4 * a * c, 0.0))
    t = xp.clip(2 * c / -(b + root), 0.0, 1.0)
    x = x0 + t * (x1 - x0)
    return x + xp.minimum(y - y0, 0.0) / d0 + xp.maximum(y - y1, 0.0) / d1


def _segment(xp, values, places, knots):
    """Ends, values and slopes of the segment that each value lies in; the nearest for tails."""
    last = places.shape[0] - 2
    index = xp.clip(xp.searchsorted(places, values, side="right") - 1, 0, last)
    x0, x1 = xp.take(knots.x, index), xp.take(knots.x, index + 1)
    y0, y1 = xp.take(knots.y, index), xp.take(knots.y, index + 1)
    d0, d1 = xp.take(knots.slopes, index), xp.take(knots.slopes, index + 1)
    return x0, x1, y0, y1, d0, d1, (y1 - y0) / (x1 - x0)
