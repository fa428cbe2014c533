"""The map of a column of numbers to a scale on which it is about standard normal.

    z = g((s(x) - center) / scale)

The support's map s is x, log x, or the logit of the place between two ends; for whole numbers the
distance from an origin. The monotone g goes through quantiles of the training data, so that heavy
tails, skew and values that hold many rows cost the conditional mixtures nothing. Both are computed
in float64: a time in seconds has more digits than float32.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from tfflows.tables.columns import Column, Datetime, Dense, Integer, Interval, Positive
from tfflows.tables.spline import Knots, make_knots, spline, spline_inverse

UNBOUNDED = 1e6  # z of the outer edges of the first and last whole number that there can be
_MAX_QUANTILES = 48
_MAX_SPIKES = 20_000
_MAX_SLOPE, _MIN_SLOPE = 100.0, 0.01


@dataclasses.dataclass(frozen=True)
class Marginal:
    """How one column of numbers is mapped; made by `fit_marginal`.

    Attributes:
        column: Real, Positive, Interval, Integer or Datetime.
        origin: whole numbers are counted from here, which keeps their digits; else 0.
        center, scale: of s(x), before the knots.
        knots: of g.
    """

    column: Column
    origin: int
    center: float
    scale: float
    knots: Knots

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers, which have masses instead of densities."""
        return not isinstance(self.column, Dense)

    @property
    def whole_bounds(self) -> tuple[int | None, int | None]:
        """The smallest and the largest whole number; None where there is no bound."""
        assert isinstance(self.column, Integer | Datetime)
        return self.column.bounds

    def forward(self, x: Any, xp: Any = np) -> tuple[Any, Any]:
        """z `[n]` of values, and log dz/dx.

        Args:
            x: float64 `[n]`; whole numbers less `origin`.
            xp: `numpy` or `keras.ops`.
        """
        support, log_slope = self._support(x, xp)
        z, log_det = spline(xp, (support - self.center) / self.scale, self.knots)
        return z, log_det + log_slope - math.log(self.scale)

    def inverse(self, z: Any, xp: Any = np) -> Any:
        """Values `[n]`, float64, of z; whole numbers less `origin`, not yet rounded."""
        return self._support_inverse(
            spline_inverse(xp, z, self.knots) * self.scale + self.center, xp
        )

    def cells(self, x: Any, xp: Any = np) -> tuple[Any, Any, Any, Any]:
        """z, lower and upper edge of the cell in z, and the log of its width.

        The cell of a real number is the point, and the log of its width log dz/dx.

        Args:
            x, xp: as in `forward`.
        """
        if not self.is_whole:
            z, log_det = self.forward(x, xp)
            return z, z, z, log_det
        low, high = (None if end is None else end - self.origin for end in self.whole_bounds)
        # All at once: an exported graph holds the spline of each column once.
        places, slopes = self.forward(xp.concatenate([x, x - 0.5, x + 0.5]), xp)
        z, lower, upper = xp.split(places, 3)
        log_det = xp.split(slopes, 3)[0]
        if low is not None:
            lower = xp.where(x <= low, -UNBOUNDED, lower)
        if high is not None:
            upper = xp.where(x >= high, UNBOUNDED, upper)
        width = upper - lower
        # The difference of two numbers that are almost equal has few digits.
        return z, lower, upper, xp.where(width > 1e-6, xp.log(xp.maximum(width, 1e-9)), log_det)

    def _support(self, x, xp):
        if isinstance(self.column, Positive):
            log_x = xp.log(x)
            return log_x, -log_x
        if isinstance(self.column, Interval):
            low, high = self.column.bounds
            above, below = xp.log(x - low), xp.log(high - x)
            return above - below, math.log(high - low) - above - below
        return x, 0.0

    def _support_inverse(self, s, xp):
        if isinstance(self.column, Positive):
            tiny, huge = np.finfo("float64").tiny, np.finfo("float64").max
            return xp.clip(xp.exp(xp.clip(s, -745.0, 709.0)), tiny, huge)
        if isinstance(self.column, Interval):
            low, high = self.column.bounds
            place = 1 / (1 + xp.exp(-xp.clip(s, -700.0, 700.0)))
            inner = np.nextafter(low, high), np.nextafter(high, low)
            return xp.clip(low + (high - low) * place, *inner)
        return s

    def get_config(self) -> dict[str, Any]:
        """The numbers as JSON holds them; the column stands in the schema."""
        knots = {"x": np.asarray(self.knots.x).tolist(), "y": np.asarray(self.knots.y).tolist()}
        return {"origin": self.origin, "center": self.center, "scale": self.scale, "knots": knots}

    @classmethod
    def from_config(cls, column: Column, config: Mapping[str, Any]) -> "Marginal":
        """The marginal of `get_config`."""
        knots = make_knots(**config["knots"])
        return cls(column, int(config["origin"]), config["center"], config["scale"], knots)


def fit_marginal(column: Column, values: np.ndarray) -> Marginal:
    """The marginal of a column of numbers, from training values that are neither missing nor atoms.

    Args:
        column: of numbers.
        values: `[n]`, as `Cells.values`; may be empty.
    """
    start = Marginal(column, 0, 0.0, 1.0, make_knots(np.array([-1.0, 1]), np.array([-1.0, 1])))
    if not len(values):
        return start
    values = np.sort(values)
    if start.is_whole:
        origin = int(values[len(values) // 2])
        t = (values - origin).astype("float64")
        scale = max(float(np.std(t)), 0.5)
        return Marginal(column, origin, 0.0, scale, _knots_of_whole(t, scale))
    t = np.asarray(start._support(values.astype("float64"), np)[0])
    low, middle, high = np.quantile(t, [0.25, 0.5, 0.75])
    scale = (high - low) / 1.349 or float(np.std(t)) or max(abs(middle), 1.0)
    return Marginal(column, 0, float(middle), float(scale), _knots_of_dense((t - middle) / scale))


def _normal_places(num_rows, num_places):
    """Equally spaced z, of which the outer ones have about five rows beyond them."""
    end = special.ndtri(1 - min(5.0, num_rows / 4) / num_rows)
    return np.linspace(-end, end, num_places)


def _knots_of_dense(t):
    """Knots at quantiles; those that would make a cliff, at values that repeat, are left out."""
    z = _normal_places(len(t), int(np.clip(len(t) // 20, 4, _MAX_QUANTILES)))
    x = np.quantile(t, special.ndtr(z))
    kept = [0]
    for i in range(1, len(z)):
        if (x[i] - x[kept[-1]]) * _MAX_SLOPE > z[i] - z[kept[-1]]:
            kept.append(i)
    if len(kept) == 1:
        return make_knots(np.array([-1.0, 1]) + x[0], np.array([-1.0, 1]))
    return make_knots(x[kept], z[kept] + _MIN_SLOPE * x[kept])


def _knots_of_whole(t, scale):
    """Knots at the edges between whole numbers: each value that comes again gets its share of z.

    What the values' shares leave is spread over the range, as the values are.
    """
    values, counts = np.unique(t, return_counts=True)
    z = _normal_places(len(values), min(len(values), _MAX_QUANTILES))
    places = np.unique(np.append(np.round(special.ndtr(z) * (len(values) - 1)), len(values) - 1))
    places = places.astype("int64")
    smooth_edges = np.append(values[0] - 0.5, values[places] + 0.5)
    smooth_share = np.append(0, places + 1) / len(values)
    expected = _expected_counts(counts)
    if len(values) > _MAX_SPIKES:
        expected[counts < np.sort(counts)[-_MAX_SPIKES]] = 0
    spikes = values[expected > 0]
    edges = np.unique(np.concatenate([smooth_edges, spikes - 0.5, spikes + 0.5]))
    masses = expected / len(t)
    below = np.append(0, np.cumsum(masses))[np.searchsorted(values, edges)]
    share = below + (1 - masses.sum()) * np.interp(edges, smooth_edges, smooth_share)
    outside = max(0.5 / (len(t) + 1), 1e-4)
    return make_knots(edges / scale, special.ndtri(outside + (1 - 2 * outside) * share))


def _expected_counts(counts):
    """How often values that came so often will come again, in as many rows.

    The estimate of Good (1953), "The population frequencies of species": (r + 1) N(r + 1) / N(r) of
    values that came r times, where N(r) values did. Where few did, r less a half.
    """
    expected = counts - 0.5
    of_count = np.bincount(counts, minlength=8)
    for r in range(1, 6):
        if of_count[r] >= 20:
            estimate = (r + 1) * of_count[r + 1] / of_count[r]
            expected[counts == r] = min(estimate, r - 0.1) if estimate > 0.01 else 0
    return expected
