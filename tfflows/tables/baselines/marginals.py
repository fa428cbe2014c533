"""The distribution of one column, laid out on the unit interval."""

import numpy as np

from tfflows.tables.baselines.quantile_histogram import QuantileHistogram
from tfflows.tables.columns import (
    Category,
    Cells,
    Column,
    Datetime,
    Integer,
    Interval,
    Positive,
)  # fmt: skip

_HALF = 0.5
_PSEUDO_COUNTS = np.geomspace(1e-3, 10, 17)


class CodeMarginal:
    """Probabilities of the codes of a category, ordinal or boolean column, and of "missing".

    Each code has a pseudo-count, the same for all, which maximizes the leave-one-out likelihood.
    On the unit interval "missing" comes first, then ordinals and booleans in their order, then
    categories from the most frequent on.
    """

    def __init__(self, column, cells: Cells):
        self.num_codes = column.num_codes
        seen = cells.values[~cells.missing]
        counts = np.bincount(seen, minlength=self.num_codes).astype("float64")
        pseudo = _pseudo_count(counts)
        codes = (counts + pseudo) / (counts.sum() + pseudo * self.num_codes)
        order = np.arange(self.num_codes)
        if isinstance(column, Category):
            order = np.argsort(-counts, kind="stable")
        missing = _missing_mass(column, cells)
        self._rank = np.empty(self.num_codes + 1, "int64")
        self._order = np.concatenate([[self.num_codes], order])
        self._rank[self._order] = np.arange(self.num_codes + 1)
        self._masses = np.concatenate([[missing], (1 - missing) * codes[order]])
        self._cdf = np.concatenate([[0.0], np.cumsum(self._masses)])
        self._cdf[-1] = 1.0

    def _ranks(self, cells):
        return self._rank[np.where(cells.missing, self.num_codes, cells.values)]

    def log_prob(self, cells: Cells) -> np.ndarray:
        """Log mass of each cell. `[n]`."""
        with np.errstate(divide="ignore"):
            return np.log(self._masses)[self._ranks(cells)]

    def interval(self, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
        """Where each cell begins and ends on the unit interval. `[n]` each."""
        ranks = self._ranks(cells)
        return self._cdf[ranks], self._cdf[ranks + 1]

    def quantile(self, u: np.ndarray) -> Cells:
        """The cells at points of the unit interval."""
        ranks = np.clip(np.searchsorted(self._cdf, u, "right") - 1, 0, self.num_codes)
        codes = self._order[ranks]
        missing = codes == self.num_codes
        return Cells(np.where(missing, 0, codes), missing)

    def cuts(self, count: int) -> np.ndarray:
        """Increasing points from 0 to 1 that cut it into parts: one per code."""
        del count
        return np.unique(self._cdf)


class NumberMarginal:
    """A number column: a smoothed histogram, point masses of its atoms, and of "missing".

    Real, positive and interval columns have a density in their own units: the histogram lies on
    x, log(x) or the logit of x. Integers and dates have masses. On the unit interval "missing"
    comes first, then all numbers in their order.
    """

    def __init__(self, column: Column, cells: Cells):
        self._column = column
        x = cells.values[~cells.missing]
        self._atoms = np.array(getattr(column, "atoms", ()), "float64")
        is_atom, atom = _atom_of(self._atoms, x)
        counts = np.bincount(atom[is_atom], minlength=len(self._atoms))
        low, high = column.bounds if isinstance(column, Integer | Datetime) else (None, None)
        body = self._to_line(x[~is_atom])
        self._body = QuantileHistogram(body[np.isfinite(body)], low, high)
        parts = np.concatenate([counts, [np.sum(~is_atom)]]) + (_HALF if len(counts) else 0)
        self._missing_mass = _missing_mass(column, cells)
        masses = (1 - self._missing_mass) * parts / max(parts.sum(), 1)
        if not len(counts):
            masses = np.array([1 - self._missing_mass])
        self._atom_masses, self._body_mass = masses[:-1], masses[-1]
        self._below_atoms = np.concatenate([[0.0], np.cumsum(self._atom_masses)])
        below = self._body_mass * self._body.cdf(self._to_line(self._atoms))
        self._atom_starts = self._missing_mass + below + self._below_atoms[:-1]

    def _to_line(self, x):
        """The support's map onto the real line; whole numbers as they are."""
        if self._column.is_discrete:
            return np.asarray(x, "int64")
        with np.errstate(divide="ignore", invalid="ignore"):
            if isinstance(self._column, Positive):
                return np.log(x)
            if isinstance(self._column, Interval):
                return np.log(x - self._column.low) - np.log(self._column.high - x)
        return np.asarray(x, "float64")

    def _from_line(self, z):
        if isinstance(self._column, Positive):
            return np.exp(np.clip(z, -700, 700))
        if isinstance(self._column, Interval):
            low, high = self._column.low, self._column.high
            x = low + (high - low) / (1 + np.exp(-np.clip(z, -700, 700)))
            return np.clip(x, np.nextafter(low, high), np.nextafter(high, low))
        return z

    def _log_slope(self, x):
        if isinstance(self._column, Positive):
            return -np.log(x)
        if isinstance(self._column, Interval):
            low, high = self._column.low, self._column.high
            return np.log(high - low) - np.log(x - low) - np.log(high - x)
        return 0.0

    def log_prob(self, cells: Cells) -> np.ndarray:
        """Log mass of each atom, missing cell and whole number, log density of the others."""
        is_atom, atom = _atom_of(self._atoms, cells.values)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_prob = np.log(self._body_mass) + self._log_slope(cells.values)
            log_prob = log_prob + self._body.log_density(self._to_line(cells.values))
            log_prob[is_atom] = np.log(self._atom_masses[atom[is_atom]])
            log_prob[cells.missing] = np.log(self._missing_mass)
        return log_prob

    def interval(self, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
        """Where each cell begins and ends on the unit interval; equal for what has a density."""
        is_atom, atom = _atom_of(self._atoms, cells.values)
        z = self._to_line(cells.values)
        shift = self._missing_mass + self._below_atoms[np.searchsorted(self._atoms, cells.values)]
        low = shift + self._body_mass * self._body.cdf(z)
        high = shift + self._body_mass * self._body.cdf(z + 1) if self._column.is_discrete else low
        low[is_atom] = self._atom_starts[atom[is_atom]]
        high = np.where(is_atom, low + np.append(self._atom_masses, 0.0)[atom], high)
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
        return np.where(cells.missing, 0, low), np.where(cells.missing, self._missing_mass, high)

    def quantile(self, u: np.ndarray) -> Cells:
        """The cells at points of the unit interval."""
        missing = u < self._missing_mass
        passed = np.searchsorted(self._atom_starts, u, "right")
        last = np.maximum(passed - 1, 0)
        is_atom = np.zeros(len(u), bool)
        if len(self._atoms):
            is_atom = (passed > 0) & (u < self._atom_starts[last] + self._atom_masses[last])
        v = (u - self._missing_mass - self._below_atoms[passed]) / max(self._body_mass, 1e-300)
        values = self._from_line(self._body.quantile(np.clip(v, 0, 1)))
        if len(self._atoms):
            values = np.where(is_atom & ~missing, self._atoms[last], values)
        return Cells(np.where(missing, 0, values), missing)

    def cuts(self, count: int) -> np.ndarray:
        """Increasing points from 0 to 1 that cut it into about `count` parts."""
        v = self._body.cuts(count)
        atoms = (self._atom_starts - self._missing_mass - self._below_atoms[:-1]) / self._body_mass
        shift = self._below_atoms[np.searchsorted(atoms, v)]
        body = self._missing_mass + self._body_mass * v + shift
        ends = self._atom_starts + self._atom_masses
        return np.unique(
            np.clip(
                np.concatenate([[0, 1, self._missing_mass], self._atom_starts, ends, body]), 0, 1
            )
        )


Marginal = CodeMarginal | NumberMarginal


def fit_marginal(column: Column, cells: Cells) -> Marginal:
    """The marginal of a column, by its kind."""
    is_number = isinstance(column, Integer | Datetime) or not column.is_discrete
    return (NumberMarginal if is_number else CodeMarginal)(column, cells)


def _atom_of(atoms, x):
    """Whether each number is an atom, and which."""
    if not len(atoms):
        return np.zeros(len(x), bool), np.zeros(len(x), "int64")
    atom = np.clip(np.searchsorted(atoms, x), 0, len(atoms) - 1)
    return atoms[atom] == x, atom


def _missing_mass(column, cells):
    """Half a row is added to both sides, as Krichevsky and Trofimov (1981) do."""
    if not column.missing:
        return 0.0
    return (cells.missing.sum() + _HALF) / (len(cells.missing) + 1)


def _pseudo_count(counts):
    """The pseudo-count per code under which each row is likeliest, given all others."""
    total, present = counts.sum(), counts[counts > 0]
    if total < 2:
        return 1.0
    pseudo = _PSEUDO_COUNTS[:, None]
    logs = np.log(present - 1 + pseudo) - np.log(total - 1 + pseudo * len(counts))
    return _PSEUDO_COUNTS[np.argmax(logs @ present)]
