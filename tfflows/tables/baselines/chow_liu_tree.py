"""The tree of pairwise dependences between columns (Chow and Liu 1968)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfflows.tables.baselines.marginals import Marginal, fit_marginal
from tfflows.tables.columns import Cells
from tfflows.tables.schema import Schema

_STRENGTHS = np.geomspace(0.25, 16384, 17)
_MAX_ROWS_FOR_TREE = 50_000
_MAX_CANDIDATES = 16


class ChowLiuTree:
    """A tree in which each column depends on one other.

    Every column is cut into parts: one per code, one per atom and "missing", and about n ** (1/3)
    (at most 64) of the numbers, frequent whole numbers by themselves. The tree is over the parts;
    within its part a cell has its marginal distribution, so that

        log p(row) = sum of log marginals + sum over edges of log p(part | parent) / p(part).

    p(part | parent) = (count + strength * p(part)) / (count of the parent + strength), a Dirichlet
    prior around the marginal. The strength of an edge maximizes the leave-one-out likelihood, whose
    gain over the marginal is the edge's weight, averaged over both directions: a mutual information
    that does not grow from having many parts. The maximum spanning forest of the weights above
    log(n) / 2n, which is what one parameter must gain, is the tree (C. Chow and C. Liu 1968,
    "Approximating discrete probability distributions with dependence trees", IEEE Transactions on
    Information Theory 14).

    Tables of more than 64 columns weigh only the 16 partners of each column whose places in
    their marginals correlate most.

    Args:
        schema: of the table.
        marginals: one per column.
        edges: the tables of conditionals, parents before their children.

    Attributes:
        parents: the name of each column's parent; None for roots.

    Example:
        >>> schema = Schema([Boolean("smoker"), Integer("age", low=0)])
        >>> cells = schema.parse({"smoker": [True, False, False], "age": [31, 45, 31]})
        >>> ChowLiuTree.fit(schema, cells).log_prob(cells).shape
        (3,)
    """

    def __init__(self, schema: Schema, marginals: Mapping[str, Marginal], edges: list["Edge"]):
        self.schema = schema
        self.marginals = dict(marginals)
        self._edges = edges
        self.parents = dict.fromkeys(schema.names) | {e.child.name: e.parent.name for e in edges}

    @classmethod
    def fit(cls, schema: Schema, cells: Mapping[str, Cells], seed: int = 0) -> "ChowLiuTree":
        """The tree of the rows in `cells`, which `schema.parse` gives.

        Args:
            schema: of the table.
            cells: of the training rows.
            seed: of the rows that the tree is found on, where there are more than 50,000.
        """
        marginals = {c.name: fit_marginal(c, cells[c.name]) for c in schema}
        rows = len(next(iter(cells.values())).missing)
        count = int(np.clip(round(rows ** (1 / 3)), 4, 64))
        parts = [Parts.of(name, m, count) for name, m in marginals.items()]
        codes = [part.codes(marginals[part.name], cells[part.name]) for part in parts]
        chosen = np.random.default_rng(seed).permutation(rows)[:_MAX_ROWS_FOR_TREE]
        tree = _spanning_forest(parts, [c[chosen] for c in codes])
        edges = [Edge.fit(parts[a], parts[b], codes[a], codes[b]) for a, b in tree]
        return cls(schema, marginals, edges)

    def log_prob(self, cells: Mapping[str, Cells]) -> np.ndarray:
        """Log density of each row: density of numbers in their own units, mass of the others.

        Args:
            cells: of all columns, as `schema.parse` gives them.

        Returns:
            float64 `[n]`, in nats.
        """
        total = np.sum([m.log_prob(cells[name]) for name, m in self.marginals.items()], axis=0)
        for edge in self._edges:
            parent, child = (
                part.codes(self.marginals[part.name], cells[part.name])
                for part in (edge.parent, edge.child)
            )
            total += edge.log_ratio(parent, child)
        return total

    def sample(self, n: int, seed: int = 0) -> dict[str, Cells]:
        """Cells of n rows."""
        rng = np.random.default_rng(seed)
        u = {name: rng.random(n) for name in self.schema.names}
        for edge in self._edges:
            child = edge.sample(edge.parent.codes_at(u[edge.parent.name]), rng)
            cuts = edge.child.cuts
            u[edge.child.name] = cuts[child] + np.diff(cuts)[child] * rng.random(n)
        return {name: m.quantile(u[name]) for name, m in self.marginals.items()}


class Parts(NamedTuple):
    """A column's unit interval, cut into parts."""

    name: str
    cuts: np.ndarray

    @classmethod
    def of(cls, name: str, marginal: Marginal, count: int) -> "Parts":
        """About `count` parts of a marginal."""
        return cls(name, marginal.cuts(count))

    @property
    def masses(self) -> np.ndarray:
        """The probability of each part."""
        return np.diff(self.cuts)

    def codes_at(self, u: np.ndarray) -> np.ndarray:
        """The parts that points of the unit interval lie in."""
        return np.clip(np.searchsorted(self.cuts, u, "right") - 1, 0, len(self.cuts) - 2)

    def codes(self, marginal: Marginal, cells: Cells) -> np.ndarray:
        """The parts that cells lie in."""
        return self.codes_at(np.mean(marginal.interval(cells), axis=0))


class Pairs(NamedTuple):
    """Which pairs of parts there are: `keys` = parent * parts of the child + child, increasing."""

    keys: np.ndarray
    counts: np.ndarray
    width: int

    @classmethod
    def of(cls, parent: np.ndarray, child: np.ndarray, sizes: tuple[int, int]) -> "Pairs":
        """The pairs among rows."""
        keys = parent * sizes[1] + child
        if sizes[0] * sizes[1] <= 4 * len(keys) + 4096:
            counts = np.bincount(keys, minlength=sizes[0] * sizes[1])
            seen = np.flatnonzero(counts)
            return cls(seen, counts[seen], sizes[1])
        return cls(*np.unique(keys, return_counts=True), sizes[1])

    def transposed(self, width: int) -> "Pairs":
        """The same pairs with the child as the parent."""
        keys = self.keys % self.width * width + self.keys // self.width
        order = np.argsort(keys)
        return Pairs(keys[order], self.counts[order], width)

    def gain(self, masses: np.ndarray) -> tuple[float, float]:
        """The best strength, and the leave-one-out gain with it in nats per row."""
        parent, child = self.keys // self.width, self.keys % self.width
        totals = np.bincount(parent, self.counts)[parent]
        strength, prior = _STRENGTHS[:, None], masses[child]
        ratio = (self.counts - 1 + strength * prior) / ((totals - 1 + strength) * prior)
        gains = np.log(np.maximum(ratio, 1e-300)) @ self.counts / self.counts.sum()
        best = int(np.argmax(gains))
        return float(_STRENGTHS[best]), float(gains[best])


class Edge:
    """p(part of the child | part of the parent)."""

    def __init__(self, parent: Parts, child: Parts, pairs: Pairs, strength: float):
        self.parent = parent
        self.child = child
        self._keys, self._counts = pairs.keys, pairs.counts
        self._strength = strength
        parts = len(parent.masses)
        self._totals = np.bincount(pairs.keys // pairs.width, pairs.counts, minlength=parts)
        self._starts = np.concatenate([[0.0], np.cumsum(self._totals)])
        self._cumulated = np.cumsum(pairs.counts)

    @classmethod
    def fit(cls, parent: Parts, child: Parts, parent_codes, child_codes) -> "Edge":
        """The edge with the strength that predicts left-out rows best."""
        pairs = Pairs.of(parent_codes, child_codes, (len(parent.masses), len(child.masses)))
        return cls(parent, child, pairs, pairs.gain(child.masses)[0])

    def log_ratio(self, parent: np.ndarray, child: np.ndarray) -> np.ndarray:
        """log p(child | parent) / p(child). `[n]`."""
        masses = self.child.masses
        keys = parent * len(masses) + child
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        counts = np.where(self._keys[at] == keys, self._counts[at], 0)
        prior, strength = masses[child], self._strength
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (counts / prior + strength) / (self._totals[parent] + strength)
        return np.log(ratio)

    def sample(self, parent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A part of the child for each part of the parent."""
        totals = self._totals[parent]
        by_marginal = rng.random(len(parent)) * (totals + self._strength) >= totals
        position = self._starts[parent] + rng.random(len(parent)) * totals
        at = np.searchsorted(self._cumulated, position, "right")
        seen = self._keys[np.minimum(at, len(self._keys) - 1)] % len(self.child.masses)
        return np.where(by_marginal, self.child.codes_at(rng.random(len(parent))), seen)


def _spanning_forest(parts, codes):
    """(parent, child) by their positions, parents before their children."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components
    from scipy.sparse.csgraph import minimum_spanning_tree as spanning_tree

    size = len(parts)
    # What a parameter, the strength, must gain to be worth having (Schwarz 1978).
    rows = len(codes[0])
    least = np.log(rows) / 2 / rows
    found = [(-_weight(parts, codes, a, b), a, b) for a, b in _candidates(codes)]
    found = [edge for edge in found if edge[0] < -least]
    weights, rows, columns = (np.array(x) for x in zip(*found, strict=True)) if found else [[]] * 3
    indices = np.asarray(rows, "int64"), np.asarray(columns, "int64")
    tree = spanning_tree(coo_array((np.asarray(weights, "float64"), indices), (size, size)))
    _, component = connected_components(tree, directed=False)
    edges = []
    for root in np.unique(component, return_index=True)[1]:
        order, parents = breadth_first_order(tree, root, directed=False)
        edges += [(int(parents[child]), int(child)) for child in order[1:]]
    return edges


def _candidates(codes):
    size = len(codes)
    if size <= 4 * _MAX_CANDIDATES:
        return [(a, b) for a in range(size) for b in range(a + 1, size)]
    places = np.stack(codes).astype("float64")
    places -= places.mean(1, keepdims=True)
    places /= np.maximum(np.sqrt(np.mean(places**2, 1, keepdims=True)), 1e-12)
    correlation = np.abs(places @ places.T)
    np.fill_diagonal(correlation, -1)
    best = np.argsort(-correlation, axis=1)[:, :_MAX_CANDIDATES]
    return sorted({(min(a, b), max(a, b)) for a in range(size) for b in best[a].tolist()})


def _weight(parts, codes, a, b):
    sizes = len(parts[a].masses), len(parts[b].masses)
    pairs = Pairs.of(codes[a], codes[b], sizes)
    forward = pairs.gain(parts[b].masses)[1]
    backward = pairs.transposed(sizes[0]).gain(parts[a].masses)[1]
    return (forward + backward) / 2
