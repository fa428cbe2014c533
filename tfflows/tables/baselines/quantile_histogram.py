"""A smoothed histogram with quantiles as edges: the body of a number column's marginal."""

import numpy as np

MAX_BINS = 1024
_RESOLUTIONS = (1, 4, 16, 64, 256, MAX_BINS)
_MIN_ROWS_PER_BIN = 4
_MIN_COUNTS = (1, 4, 32)
_SHARE_OF_HEAP = 1 / 256
_TAIL_EXPONENT = 3.0
_MAX_ROWS_FOR_WEIGHTS = 50_000


class QuantileHistogram:
    """A distribution of real or whole numbers, piecewise uniform with power-law tails.

    Histograms of 1, 4, 16, ... 1024 bins of equally many rows are averaged. Whole numbers also have
    the frequencies of values that occur at least 1, 4 and 32 times, and those with a 256th of the
    rows are kept out of the bins. The weights maximize the likelihood of half of the rows under the
    histograms of the other half ("deleted interpolation", Jelinek and Mercer 1980), so that a
    smooth column becomes smooth and heaped values keep their heaps. Beyond the extremes lie tails
    of mass 1 / (n + 1) each, which is the expected mass beyond the extreme of n rows, with
    P(distance > d) = (1 + d / scale) ** -3.

    A whole number k stands for the interval [k, k + 1), so that the same formulas serve both.

    Args:
        x: `[n]` float64, or int64 for whole numbers. May be empty.
        low, high: for whole numbers, the smallest and the largest, or None.
        seed: of the halves.
    """

    def __init__(
        self, x: np.ndarray, low: int | None = None, high: int | None = None, seed: int = 0
    ):
        self.is_integer = x.dtype.kind == "i"
        x = np.sort(x) if len(x) else np.array([_center(low, high)], x.dtype)
        resolutions = _resolutions(len(x) // 2)
        halves = np.random.default_rng(seed).permutation(len(x)) % 2 == 0
        parts = _histograms(x, resolutions, self.is_integer)
        if len(x) < 2 * _MIN_ROWS_PER_BIN:
            weights = np.eye(len(parts))[0]
        else:
            fitted = _histograms(x[halves], resolutions, self.is_integer)
            weights = _held_out_weights(fitted, x[~halves])
        self.edges = np.unique(np.concatenate([edges for edges, _ in parts]))
        widths = np.diff(self.edges).astype("float64")
        masses = np.zeros(len(widths))
        for weight, part in zip(weights, parts, strict=True):
            masses += weight * np.exp(_log_density(self.edges[:-1], *part)) * widths
        self._set_tails(x, low, high)
        self.masses = masses / masses.sum() * (1 - self._tail_mass.sum())
        self._cdf = self._tail_mass[0] + np.concatenate([[0.0], np.cumsum(self.masses)])
        with np.errstate(divide="ignore"):
            self._log_density = np.log(self.masses) - np.log(widths)

    def _set_tails(self, x, low, high):
        first, last = self.edges[0], self.edges[-1]
        rooms = [np.inf if low is None else float(first - low)]
        rooms += [np.inf if high is None else float(high + 1 - last)]
        self._rooms = np.array(rooms)
        self._tail_mass = np.where(self._rooms > 0, 1 / (len(x) + 2), 0.0)
        deciles = x[[len(x) // 10, len(x) - 1 - len(x) // 10]]
        span = float(last - first)
        outer = np.array([float(deciles[0] - first), float(last - deciles[1])]) / 2
        least = span if len(self.edges) == 2 else span * 1e-3
        self._scales = np.maximum(outer, max(least, float(self.is_integer)))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Log density of each number; log mass of each whole number. `[n]`."""
        x = np.asarray(x, self.edges.dtype)
        inside = self._log_density[_bins(self.edges, x)]
        below, above = x < self.edges[0], x > self.edges[-1] - self.is_integer
        inside[below] = self._log_tail(0, (self.edges[0] - x[below]).astype("float64"))
        inside[above] = self._log_tail(1, (x[above] - self.edges[-1] + self.is_integer) * 1.0)
        return inside

    def _log_tail(self, side, distance):
        """Log density at a distance; for whole numbers the mass between distance - 1 and it."""
        scale, room = self._scales[side], self._rooms[side]
        if room == 0:
            return np.full(len(distance), -np.inf)
        log_mass = np.log(self._tail_mass[side]) - np.log(_reached(room / scale))
        log_left = -_TAIL_EXPONENT * np.log1p(distance / scale)
        if self.is_integer:
            step = _TAIL_EXPONENT * np.log1p(1 / (scale + distance - 1))
            return np.where(distance <= room, log_mass + log_left + np.log(np.expm1(step)), -np.inf)
        return log_mass + log_left + np.log(_TAIL_EXPONENT / (scale + distance))

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Probability below each number. `[n]`."""
        x = np.asarray(x, self.edges.dtype)
        bins = _bins(self.edges, x)
        start, width = self.edges[bins], np.diff(self.edges)[bins]
        share = np.clip((x - start).astype("float64") / width, 0, 1)
        cdf = self._cdf[bins] + self.masses[bins] * share
        below, above = x < self.edges[0], x > self.edges[-1]
        cdf[below] = self._beyond(0, (self.edges[0] - x[below]).astype("float64"))
        cdf[above] = 1 - self._beyond(1, (x[above] - self.edges[-1]).astype("float64"))
        return cdf

    def _beyond(self, side, distance):
        """Probability of lying farther out than a distance."""
        scale, room = self._scales[side], self._rooms[side]
        share = _reached(distance / scale) / _reached(room / scale)
        return self._tail_mass[side] * np.clip(1 - share, 0, 1)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The numbers below which the probabilities u lie; whole ones rounded down. `[n]`."""
        bins = np.clip(np.searchsorted(self._cdf, u, "right") - 1, 0, len(self.masses) - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.clip((u - self._cdf[bins]) / self.masses[bins], 0, 1)
        start, width = self.edges[bins], np.diff(self.edges)[bins]
        offset = np.nan_to_num(share) * width
        if self.is_integer:
            offset = np.minimum(np.floor(offset).astype("int64"), width - 1)
        x = start + offset
        below, above = u < self._cdf[0], u > self._cdf[-1]
        x[below] = self.edges[0] - self._distance(0, u[below])
        x[above] = self.edges[-1] - self.is_integer + self._distance(1, 1 - u[above])
        return x

    def _distance(self, side, beyond):
        scale, room = self._scales[side], self._rooms[side]
        share = (1 - beyond / self._tail_mass[side]) * _reached(room / scale)
        distance = scale * ((1 - np.clip(share, 0, 1 - 1e-15)) ** (-1 / _TAIL_EXPONENT) - 1)
        if not self.is_integer:
            return distance
        return np.clip(np.ceil(distance), 1, min(room, 2.0**62)).astype("int64")

    def cuts(self, count: int) -> np.ndarray:
        """Probabilities that cut it at edges into about `count` parts, heaped values by themselves.

        All edges where there are at most 2 `count` parts between them.
        """
        inner = self._cdf[1:-1]
        if len(self.masses) <= 2 * count:
            return inner
        bins = np.searchsorted(self._cdf, np.arange(1, count) / count, "right") - 1
        bins = np.clip(bins, 0, len(self.masses) - 1)
        heavy = bins[self.masses[bins] >= 0.5 / count]
        chosen = np.unique(np.concatenate([bins, heavy + 1]))
        return self._cdf[chosen[(chosen > 0) & (chosen < len(self.masses))]]


def _center(low, high):
    bounds = [bound for bound in (low, high) if bound is not None]
    return sum(bounds) // len(bounds) if bounds else 0


def _reached(ratio):
    return -np.expm1(-_TAIL_EXPONENT * np.log1p(ratio))


def _resolutions(rows):
    return [bins for bins in _RESOLUTIONS if bins == 1 or bins * _MIN_ROWS_PER_BIN <= rows]


def _histograms(x, resolutions, is_integer):
    """(edges, masses) of sorted numbers: one bin, the quantiles', and those of single values."""
    smooth, values, counts = x, x[:0], np.zeros(0, "int64")
    if is_integer:
        values, counts = np.unique(x, return_counts=True)
        is_heap = counts >= max(_MIN_COUNTS[-1], len(x) * _SHARE_OF_HEAP)
        smooth = x if is_heap.all() else x[~np.repeat(is_heap, counts)]
    first, last = _ends(x)
    parts = [(np.array([first, last], x.dtype), np.ones(1))]
    quantiles = smooth[np.linspace(0, len(smooth) - 1, resolutions[-1] + 1).round().astype(int)]
    quantiles[0], quantiles[-1] = _ends(smooth)
    for bins in resolutions[1:]:
        edges = np.unique(quantiles[:: resolutions[-1] // bins])
        parts.append((edges, _masses(smooth, edges)))
    for least in _MIN_COUNTS if is_integer else ():
        kept = values[counts >= least]
        if not len(kept):
            kept = values
        edges = np.unique(np.concatenate([kept, kept + 1]))
        parts.append((edges, _masses(x[np.isin(x, kept)], edges)))
    return parts


def _ends(x):
    """The first edge and the last: past the last of whole numbers, apart where there is one."""
    first, last = x[0], x[-1]
    if x.dtype.kind == "i":
        return first, last + 1
    margin = max(abs(float(first)), 1.0) * 1e-3 if first == last else 0.0
    return first - margin, last + margin


def _masses(x, edges):
    below = np.searchsorted(x, edges, "left")
    below[-1] = len(x)
    return np.diff(below) / len(x)


def _bins(edges, x):
    return np.clip(np.searchsorted(edges, x, "right") - 1, 0, len(edges) - 2)


def _log_density(x, edges, masses):
    with np.errstate(divide="ignore"):
        logs = np.log(masses) - np.log(np.diff(edges).astype("float64"))
    return np.where((x >= edges[0]) & (x < edges[-1]), logs[_bins(edges, x)], -np.inf)


def _held_out_weights(parts, x):
    """Weights of a mixture of histograms by EM on rows that they have not seen."""
    edges = parts[0][0]
    x = x[(x >= edges[0]) & (x < edges[-1])]
    x = x[:: len(x) // _MAX_ROWS_FOR_WEIGHTS + 1]
    weights = np.full(len(parts), 1 / len(parts))
    if not len(x):
        return weights
    logs = np.stack([_log_density(x, *part) for part in parts])
    densities = np.exp(logs - logs.max(0))
    for _ in range(60):
        shares = weights[:, None] * densities
        weights = (shares / shares.sum(0)).mean(1)
    # The coarsest has mass everywhere, which keeps a bin that was empty from having none.
    weights[0] = max(weights[0], 1 / len(x))
    return weights / weights.sum()
