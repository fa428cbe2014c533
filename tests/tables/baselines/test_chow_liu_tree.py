import numpy as np
import pytest

from tfflows.tables import Category, Cells, Real, Schema
from tfflows.tables.baselines import ChowLiuTree
from tfflows.tables.baselines.chow_liu_tree import Pairs


def cells_of(values):
    return Cells(np.asarray(values), np.zeros(len(values), bool))


def skeleton(model):
    return {frozenset(pair) for pair in model.parents.items() if pair[1] is not None}


def noisy(rng, x, size):
    """The codes of x, of which a third are drawn anew."""
    return np.where(rng.random(len(x)) < 0.35, rng.integers(0, size, len(x)), x)


@pytest.mark.parametrize("rows", [1000, 20_000])
def test_the_tree_that_rows_come_from_is_found(rows):
    """A chain with a branch, in a shuffled order of columns, and a column that stands alone."""
    rng = np.random.default_rng(0)
    codes = {"a": rng.integers(0, 5, rows)}
    true_edges = [("a", "b"), ("b", "c"), ("c", "d"), ("b", "e"), ("e", "f")]
    for parent, child in true_edges:
        codes[child] = noisy(rng, codes[parent], 5)
    codes["alone"] = rng.integers(0, 5, rows)
    names = ["d", "alone", "f", "a", "c", "e", "b"]
    schema = Schema([Category(name, tuple("vwxyz")) for name in names])
    model = ChowLiuTree.fit(schema, {name: cells_of(codes[name]) for name in names})
    assert skeleton(model) == {frozenset(edge) for edge in true_edges}
    assert model.parents["alone"] is None


def test_rows_of_a_known_tree_are_as_likely_as_they_are():
    """x uniform over 4; y = x with probability 0.7, else uniform; z = y likewise."""
    rng = np.random.default_rng(1)

    def draw(n):
        x = rng.integers(0, 4, n)
        y = np.where(rng.random(n) < 0.7, x, rng.integers(0, 4, n))
        z = np.where(rng.random(n) < 0.7, y, rng.integers(0, 4, n))
        return {"x": cells_of(x), "y": cells_of(y), "z": cells_of(z)}

    def exact(cells):
        """log p of each row."""
        steps = [cells["x"].values == cells["y"].values, cells["y"].values == cells["z"].values]
        return -np.log(4) + np.log(np.where(steps, 0.7 + 0.3 / 4, 0.3 / 4)).sum(0)

    model = ChowLiuTree.fit(Schema([Category(n, tuple("abcd")) for n in "xyz"]), draw(20_000))
    for rows in (draw(20_000), model.sample(20_000, seed=2)):
        assert np.mean(exact(rows) - model.log_prob(rows)) == pytest.approx(0, abs=0.003)


def test_the_mutual_information_of_two_normals_is_nearly_kept():
    rng = np.random.default_rng(3)

    def draw(n):
        x = rng.normal(size=n)
        return {"x": cells_of(x), "y": cells_of(0.8 * x + 0.6 * rng.normal(size=n))}

    model = ChowLiuTree.fit(Schema([Real("x"), Real("y")]), draw(20_000))
    exact = 2 * 0.5 * np.log(2 * np.pi * np.e) + 0.5 * np.log(1 - 0.8**2)
    gap = -model.log_prob(draw(20_000)).mean() - exact
    assert 0 < gap < 0.06  # independent columns: 0.51


def test_gain_is_the_best_leave_one_out_gain_by_its_definition():
    rng = np.random.default_rng(4)
    parent = rng.integers(0, 3, 60)
    child = noisy(rng, parent, 3)
    masses = np.array([0.5, 0.3, 0.2])
    pairs = Pairs.of(parent, child, (3, 3))
    strength, gain = pairs.gain(masses)
    total = 0.0
    for row in range(60):
        kept = np.arange(60) != row
        same = kept & (parent == parent[row])
        both = same & (child == child[row])
        prior = masses[child[row]]
        total += np.log((both.sum() + strength * prior) / (same.sum() + strength) / prior)
    assert gain == pytest.approx(total / 60)
    flipped = pairs.transposed(3)
    direct = Pairs.of(child, parent, (3, 3))
    np.testing.assert_array_equal(flipped.keys, direct.keys)
    np.testing.assert_array_equal(flipped.counts, direct.counts)


def test_wide_tables_weigh_only_likely_partners():
    rng = np.random.default_rng(5)
    first = rng.normal(size=(300, 40))
    x = np.hstack([first, first + 0.3 * rng.normal(size=(300, 40))])
    schema = Schema([Real(f"x{i}") for i in range(80)])
    model = ChowLiuTree.fit(schema, {f"x{i}": cells_of(x[:, i]) for i in range(80)})
    pairs = {frozenset((f"x{i}", f"x{i + 40}")) for i in range(40)}
    assert pairs <= skeleton(model)
