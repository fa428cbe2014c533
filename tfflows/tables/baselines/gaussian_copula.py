"""Marginals that are joined by a normal distribution."""

from collections.abc import Mapping

import numpy as np

from tfflows.tables.baselines.marginals import Marginal, fit_marginal
from tfflows.tables.columns import Cells
from tfflows.tables.schema import Schema

_MAX_ROWS_FOR_CORRELATION = 10_000
_SWEEPS = 30
_MAX_OPERATIONS = 1e11
_LATENTS_PER_CHUNK = 1_000_000


class GaussianCopula:
    """A normal latent per column, whose correlations join the marginals.

    A cell with a density is a point of its latent; a cell with a mass (a code, a whole number, an
    atom, "missing") is an interval. Categories lie in the order of their frequency, as in SDV's
    GaussianCopula. The correlations come from stochastic EM: latents are drawn within their
    intervals given the others (Gibbs), and their correlations are taken, for 30 sweeps (fewer of
    hundreds of columns), of which the last half is averaged (after P. Hoff 2007, "Extending the
    rank likelihood for semiparametric copula estimation"). They are shrunk as Ledoit and Wolf
    (2004) have it.

    The mass of several intervals has no closed form. `log_prob` is exact where at most one cell
    per row has a mass and its column comes last; otherwise it is the log of the GHK importance
    estimate (Geweke 1991, Hajivassiliou and McFadden 1990, Keane 1994), which is unbiased for
    p(row). Its logarithm is therefore a lower bound on log p(row) in expectation, and tightens with
    `num_draws`.

    Args:
        schema: of the table.
        marginals: one per column.
        correlation: `[D, D]`, in the schema's order.

    Example:
        >>> schema = Schema([Boolean("smoker"), Integer("age", low=0)])
        >>> cells = schema.parse({"smoker": [True, False, False], "age": [31, 45, 31]})
        >>> GaussianCopula.fit(schema, cells).log_prob(cells).shape
        (3,)
    """

    def __init__(self, schema: Schema, marginals: Mapping[str, Marginal], correlation: np.ndarray):
        self.schema = schema
        self.marginals = dict(marginals)
        self.correlation = np.asarray(correlation, "float64")

    @classmethod
    def fit(cls, schema: Schema, cells: Mapping[str, Cells], seed: int = 0) -> "GaussianCopula":
        """The copula of the rows in `cells`, which `schema.parse` gives.

        Args:
            schema: of the table.
            cells: of the training rows.
            seed: of the latents, and of the 10,000 rows that they are drawn for.
        """
        marginals = {c.name: fit_marginal(c, cells[c.name]) for c in schema}
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(cells[schema.names[0]].missing))[:_MAX_ROWS_FOR_CORRELATION]
        some = {n: Cells(cells[n].values[rows], cells[n].missing[rows]) for n in schema.names}
        return cls(schema, marginals, _fit_correlation(*_bounds(marginals, some), rng))

    def log_prob(
        self, cells: Mapping[str, Cells], num_draws: int = 64, seed: int = 0
    ) -> np.ndarray:
        """Log density of each row, or a lower bound on it in expectation; see the class.

        Args:
            cells: of all columns, as `schema.parse` gives them.
            num_draws: of the latents of cells with a mass.
            seed: of the draws.

        Returns:
            float64 `[n]`, in nats.
        """
        total = np.sum([m.log_prob(cells[name]) for name, m in self.marginals.items()], axis=0)
        low, high = _bounds(self.marginals, cells)
        # Points first and wide intervals last: later draws then depend on what is known best.
        order = np.argsort((_normal_cdf(high) - _normal_cdf(low)).mean(0), kind="stable")
        factor = np.linalg.cholesky(self.correlation[np.ix_(order, order)])
        low, high = low[:, order], high[:, order]
        if np.array_equal(low, high):
            num_draws = 1  # nothing is drawn
        rng = np.random.default_rng(seed)
        chunk = max(1, _LATENTS_PER_CHUNK // (num_draws * len(order)))
        for start in range(0, len(total), chunk):
            part = slice(start, start + chunk)
            total[part] += _log_copula(low[part], high[part], factor, num_draws, rng)
        return total

    def sample(self, n: int, seed: int = 0) -> dict[str, Cells]:
        """Cells of n rows."""
        rng = np.random.default_rng(seed)
        factor = np.linalg.cholesky(self.correlation)
        u = _normal_cdf(rng.standard_normal((n, len(factor))) @ factor.T)
        return {name: m.quantile(u[:, i]) for i, (name, m) in enumerate(self.marginals.items())}


def _bounds(marginals, cells):
    """Ends of the latents' intervals, `[n, D]` each; equal for points."""
    from scipy.special import ndtri

    ends = [marginal.interval(cells[name]) for name, marginal in marginals.items()]
    low, high = (np.stack(side, axis=1) for side in zip(*ends, strict=True))
    is_point = low == high
    # A point at the very end of the unit interval would have an infinite latent.
    inside = np.clip(low, 1e-300, 1 - 1e-16)
    return ndtri(np.where(is_point, inside, low)), ndtri(np.where(is_point, inside, high))


def _normal_cdf(z):
    from scipy.special import ndtr

    return ndtr(z)


def _truncated(low, high, u):
    """Log mass of an interval under the standard normal, and the draw at u within it.

    Logarithms of both tails keep intervals far out from vanishing.
    """
    from scipy.special import log_ndtr, ndtri_exp

    flip = low > -high
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    u = np.where(flip, 1 - u, u)
    log_a, log_b = log_ndtr(a), log_ndtr(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isneginf(log_a), 0.0, np.exp(log_a - log_b))
        log_mass = np.maximum(log_b + np.log1p(-share), -1e5)
        z = ndtri_exp(log_b + np.log(u + (1 - u) * share))
    z = np.clip(z, a, b)
    return log_mass, np.where(flip, -z, z)


def _log_copula(low, high, factor, num_draws, rng):
    """Log of the GHK estimate of the latents' joint density over the product of their marginals.

    Intervals enter with their masses. `[n]`.
    """
    from scipy.special import logsumexp

    rows, size = low.shape
    is_point = low == high
    noise = np.zeros((rows, num_draws, size))
    logs = np.zeros((rows, num_draws))
    places = _lattice(rows, num_draws, size, rng)
    for i in range(size):
        mean = noise[:, :, :i] @ factor[i, :i]
        a, b = ((side[:, i, None] - mean) / factor[i, i] for side in (low, high))
        point = np.broadcast_to(is_point[:, i, None], a.shape)
        z, log_weight = a, np.zeros_like(a)
        if not point.all():
            log_mass, drawn = _truncated(a, b, places[:, :, i])
            marginal = _truncated(low[:, i], high[:, i], np.full(rows, 0.5))[0][:, None]
            z = np.where(point, a, drawn)
            log_weight = log_mass - marginal
        if point.any():
            at = np.where(point, low[:, i, None], 0.0)
            conditional = (at - mean) / factor[i, i]
            density = (at**2 - conditional**2) / 2 - np.log(factor[i, i])
            log_weight = np.where(point, density, log_weight)
        noise[:, :, i] = z
        logs += log_weight
    return logsumexp(logs, axis=1) - np.log(num_draws)


def _lattice(rows, num_draws, size, rng):
    """Points of the unit cube `[rows, num_draws, size]`: a lattice, shifted at random per row.

    Each point is uniform, which keeps the estimate unbiased; together they are spread evenly.
    """
    steps = np.sqrt(_primes(size)) % 1
    grid = np.arange(num_draws)[:, None] * steps
    points = (grid + rng.random((rows, 1, size))) % 1
    return np.clip(points, 1e-12, 1 - 1e-12)


def _primes(count):
    sieve = np.ones(max(16, int(count * (np.log(count + 2) + 3))), bool)
    sieve[:2] = False
    for i in range(2, int(len(sieve) ** 0.5) + 1):
        sieve[i * i :: i] &= ~sieve[i]
    return np.flatnonzero(sieve)[:count]


def _fit_correlation(low, high, rng):
    """The latents' correlation by stochastic EM, `[D, D]`."""
    size = low.shape[1]
    is_point = low == high
    z = _truncated(low, high, np.full(low.shape, 0.5))[1]
    z = np.where(is_point, low, z)
    correlation, collected = _shrunk(z), []
    if is_point.all():
        return correlation
    affordable = int(_MAX_OPERATIONS / ((len(z) + size) * size**2))
    for sweep in range(min(_SWEEPS, affordable)):
        precision = np.linalg.inv(correlation)
        for i in np.flatnonzero(~is_point.all(0)):
            scale = precision[i, i] ** -0.5
            mean = z[:, i] - z @ precision[:, i] * scale**2
            bounds = (low[:, i] - mean) / scale, (high[:, i] - mean) / scale
            drawn = mean + scale * _truncated(*bounds, rng.uniform(1e-12, 1, len(z)))[1]
            z[:, i] = np.where(is_point[:, i], low[:, i], drawn)
        correlation = _shrunk(z)
        if sweep >= _SWEEPS // 2:
            collected.append(correlation)
    return np.mean(collected, axis=0) if collected else correlation


def _shrunk(z):
    from sklearn.covariance import ledoit_wolf_shrinkage

    z = np.vstack([z, -z])
    scale = np.sqrt(np.mean(z**2, axis=0))
    scale[scale == 0] = 1  # a column with one value
    z = z / scale
    correlation = z.T @ z / len(z)
    np.fill_diagonal(correlation, 1)
    share = max(ledoit_wolf_shrinkage(z, assume_centered=True), 1e-4)
    return (1 - share) * correlation + share * np.eye(len(scale))
