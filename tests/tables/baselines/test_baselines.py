"""What holds for every baseline: exact masses and densities, samples, odd tables."""

import itertools
import time

import numpy as np
import pytest
from scipy import stats

from tfflows.tables import (
    Boolean,
    Category,
    Cells,
    Datetime,
    Integer,
    Interval,
    Ordinal,
    Positive,
    Real,
    Schema,
)
from tfflows.tables.baselines import ChowLiuTree, GaussianCopula, IndependentColumns

BASELINES = (IndependentColumns, GaussianCopula, ChowLiuTree)


def cells_of(values, missing=None):
    values = np.asarray(values)
    missing = np.zeros(len(values), bool) if missing is None else np.asarray(missing)
    return Cells(np.where(missing, 0, values), missing)


def small_table(rows=400):
    """Discrete columns that depend on each other; an unseen code and missing cells among them."""
    rng = np.random.default_rng(0)
    city = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    size = np.clip(city + rng.integers(0, 3, rows), 1, 4)
    flag = (rng.random(rows) < np.where(city == 0, 0.9, 0.2)).astype("int64")
    schema = Schema(
        [
            Category("city", ("a", "b", "c"), other=True, missing=True),
            Integer("size", low=1, high=4),
            Boolean("flag"),
            Ordinal("grade", ("low", "high"), missing=True),
        ]
    )
    cells = {
        "city": cells_of(city, rng.random(rows) < 0.1),
        "size": cells_of(size),
        "flag": cells_of(flag),
        "grade": cells_of(1 - flag, rng.random(rows) < 0.5 * flag),
    }
    return schema, cells


def all_rows():
    """Every row that `small_table` allows."""
    codes = np.array(list(itertools.product(range(5), range(1, 5), range(2), range(3))))
    return {
        "city": cells_of(codes[:, 0], codes[:, 0] == 4),
        "size": cells_of(codes[:, 1]),
        "flag": cells_of(codes[:, 2]),
        "grade": cells_of(codes[:, 3], codes[:, 3] == 2),
    }


@pytest.mark.parametrize("baseline", BASELINES)
def test_masses_of_all_rows_sum_to_one_and_samples_have_them(baseline):
    schema, cells = small_table()
    model = baseline.fit(schema, cells)
    rows = all_rows()
    masses = np.exp(model.log_prob(rows))
    # The Gaussian copula's masses are unbiased estimates.
    error = 2e-3 if baseline is GaussianCopula else 1e-12
    assert masses.sum() == pytest.approx(1, abs=error)
    number = {name: i for i, name in enumerate(_keys(rows))}
    drawn = [number[key] for key in _keys(model.sample(20_000, seed=1))]
    counts = np.bincount(drawn, minlength=len(masses))
    is_frequent = masses > 5e-4
    observed = np.append(counts[is_frequent], counts[~is_frequent].sum())
    expected = np.append(masses[is_frequent], 1 - masses[is_frequent].sum()) * 20_000
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def _keys(cells):
    codes = np.stack([np.where(c.missing, -1, c.values) for c in cells.values()], axis=1)
    return [tuple(row) for row in codes.tolist()]


@pytest.mark.parametrize("baseline", BASELINES)
def test_what_is_dependent_is_likelier_than_under_independence(baseline):
    schema, cells = small_table()
    gain = np.mean(
        baseline.fit(schema, cells).log_prob(cells)
        - IndependentColumns.fit(schema, cells).log_prob(cells)
    )
    assert gain == 0 if baseline is IndependentColumns else gain > 0.2


NUMBERS = {
    "real": (Real("x", atoms=(0.0,)), lambda rng, n: rng.normal(1, 2, n)),
    "positive": (Positive("x", atoms=(0.0,)), lambda rng, n: rng.lognormal(size=n)),
    "interval": (Interval("x", 0, 1, atoms=(0.0, 1.0)), lambda rng, n: rng.beta(2, 1, n)),
}


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("kind", NUMBERS)
def test_densities_and_masses_of_a_mixed_table_integrate_to_one(baseline, kind):
    column, draw = NUMBERS[kind]
    rng = np.random.default_rng(1)
    code = rng.integers(0, 2, 600)
    x = np.where(
        rng.random(600) < 0.3, 0.0, draw(rng, 600) * (1 if kind == "interval" else 1 + code)
    )
    schema = Schema([column, Boolean("code")])
    model = baseline.fit(schema, {"x": cells_of(x), "code": cells_of(code)})
    # Midpoints of pieces without a jump, uniform where the density is: on the line of the support.
    body = model.marginals["x"]
    line = body._body.quantile(np.linspace(1e-7, 1 - 1e-7, 4001))
    line = np.unique(np.concatenate([line, body._body.edges]))
    fine = (line[:-1, None] + np.diff(line)[:, None] * (np.arange(8) + 0.5) / 8).ravel()
    widths = np.repeat(np.diff(line) / 8, 8)
    at = body._from_line(fine)
    slope = np.exp(-body._log_slope(at)) * np.ones(len(at))
    keep = ~np.isin(at, body._atoms)
    total = 0.0
    for value in (0, 1):
        rows = {"x": cells_of(at), "code": cells_of(np.full(len(at), value))}
        kwargs = {"num_draws": 1} if baseline is GaussianCopula else {}
        density = np.exp(model.log_prob(rows, **kwargs))
        total += np.sum((density * slope * widths)[keep])
        atoms = cells_of(np.array(column.atoms))
        rows = {"x": atoms, "code": cells_of(np.full(len(column.atoms), value))}
        total += np.exp(model.log_prob(rows)).sum()
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("rows", [1, 2, 30])
def test_odd_tables_give_finite_densities_of_rows_that_were_not_seen(baseline, rows):
    rng = np.random.default_rng(2)
    schema = Schema(
        [
            Real("constant"),
            Real("empty", missing=True),
            Category("one", ("only",)),
            Category("many", tuple(map(str, range(10_000)))),
            Integer("count", low=0),
            Integer("constant_integer", low=3, high=3),
            Datetime("time", unit="ns", missing=True),
            Real("tied"),
        ]
    )
    n = rows
    ticks = 1_600_000_000_000_000_000 + rng.integers(0, 10**17, n)
    cells = {
        "constant": cells_of(np.full(n, 5.0)),
        "empty": cells_of(np.zeros(n), np.ones(n, bool)),
        "one": cells_of(np.zeros(n, "int64")),
        "many": cells_of(rng.integers(0, 10_000, n)),
        "count": cells_of(rng.poisson(2, n)),
        "constant_integer": cells_of(np.full(n, 3)),
        "time": cells_of(ticks, rng.random(n) < 0.3),
        "tied": cells_of(rng.integers(0, 3, n) * 1e-8),
    }
    model = baseline.fit(schema, cells)
    assert np.isfinite(model.log_prob(cells)).all()
    far = {
        "constant": cells_of([-1e6, 5.0]),
        "empty": cells_of([3.0, 0.0], [False, True]),
        "one": cells_of([0, 0]),
        "many": cells_of([17, 9999]),
        "count": cells_of([0, 10**12]),
        "constant_integer": cells_of([3, 3]),
        "time": cells_of([0, 2**62], [False, False]),
        "tied": cells_of([1e300, -1.0]),
    }
    assert np.isfinite(model.log_prob(far)).all()
    drawn = model.sample(200, seed=3)
    assert np.isfinite(model.log_prob(drawn)).all()
    assert (drawn["count"].values >= 0).all()
    assert set(drawn["constant_integer"].values.tolist()) == {3}


def test_a_missing_cell_where_none_may_be_has_no_mass():
    schema = Schema([Boolean("a"), Real("b")])
    cells = {"a": cells_of([0, 1, 1]), "b": cells_of([0.1, 0.2, 0.7])}
    model = IndependentColumns.fit(schema, cells)
    gone = np.array([True, False, False])
    assert model.log_prob(cells | {"a": Cells(cells["a"].values, gone)})[0] == -np.inf
    assert model.log_prob(cells | {"b": Cells(cells["b"].values, gone)})[0] == -np.inf


def test_a_code_marginal_has_the_smoothing_that_predicts_left_out_rows_best():
    """By the definition: each row left out in turn."""
    from tfflows.tables.baselines.marginals import _PSEUDO_COUNTS, fit_marginal

    counts = np.array([7, 4, 1, 1, 0, 0])
    x = np.repeat(np.arange(6), counts)

    def left_out(pseudo):
        kept = counts[x] - 1
        return np.log((kept + pseudo) / (len(x) - 1 + 6 * pseudo)).sum()

    best = max(_PSEUDO_COUNTS, key=left_out)
    marginal = fit_marginal(Category("c", tuple("abcdef")), cells_of(x))
    masses = np.exp(marginal.log_prob(cells_of(np.arange(6))))
    np.testing.assert_allclose(masses, (counts + best) / (13 + 6 * best), rtol=1e-12)


def test_many_rows_take_seconds():
    rng = np.random.default_rng(6)
    n = 200_000
    schema = Schema([Real("x"), Integer("k", low=0), Category("c", tuple("abcdefgh"))])
    x = rng.normal(size=n)
    cells = {
        "x": cells_of(x),
        "k": cells_of(rng.poisson(np.exp(x))),
        "c": cells_of(np.clip((x * 2 + 4).astype("int64"), 0, 7)),
    }
    for baseline in (IndependentColumns, ChowLiuTree):
        start = time.process_time()
        baseline.fit(schema, cells).log_prob(cells)
        assert time.process_time() - start < 5
