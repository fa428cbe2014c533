"""The comparison of tables: its own densities and scores, and a whole run of each part."""

import csv
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tfflows.tables import Boolean, Category, Cells, Integer, Interval, Real, Schema

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def quality(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from table_quality import cart, fidelity, holes

    return cart, fidelity, holes


def cells_of(values):
    return Cells(np.asarray(values), np.zeros(len(values), bool))


def small_table(rows, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 3, rows)
    k = np.clip(a + rng.integers(0, 2, rows), 0, 4)
    flag = (rng.random(rows) < np.where(k > 1, 0.9, 0.1)).astype("int64")
    schema = Schema([Category("a", tuple("xyz")), Integer("k", low=0, high=4), Boolean("flag")])
    return schema, {"a": cells_of(a), "k": cells_of(k), "flag": cells_of(flag)}


def test_masses_by_trees_sum_to_one_and_samples_have_them(quality):
    cart, _, _ = quality
    schema, train = small_table(1000)
    model = cart.CartColumns(schema, train, small_table(300, 1)[1])
    rows = np.array(list(itertools.product(range(3), range(5), range(2))))
    masses = np.exp(model.log_prob({n: cells_of(rows[:, i]) for i, n in enumerate(train)}))
    assert masses.sum() == pytest.approx(1, abs=1e-12)
    drawn = model.sample(20_000, seed=2)
    number = (drawn["a"].values * 5 + drawn["k"].values) * 2 + drawn["flag"].values
    counts = np.bincount(number, minlength=30)
    is_frequent = masses > 1e-3
    observed = np.append(counts[is_frequent], counts[~is_frequent].sum())
    expected = np.append(masses[is_frequent], 1 - masses[is_frequent].sum()) * 20_000
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_removed_cells_are_that_share_and_the_same_again(quality):
    _, _, holes = quality
    removed = holes.removed_cells(50, 7, 0.3)
    assert removed.sum() == 105
    np.testing.assert_array_equal(removed, holes.removed_cells(50, 7, 0.3))
    assert (removed != holes.removed_cells(50, 7, 0.3, seed=1)).any()


def normal_table(rows):
    rng = np.random.default_rng(3)
    x = (
        rng.standard_normal((rows, 3))
        @ np.array([[1, 0.5, 0], [0, 1, 0.7], [0.3, 0, 1]])
        * [1, 2, 5]
    )
    schema = Schema([Real(name) for name in "abc"])
    return schema, {name: cells_of(x[:, i]) for i, name in enumerate("abc")}, x


def test_the_gaussian_has_the_conditionals_of_scipy(quality):
    _, _, holes = quality
    schema, cells, x = normal_table(400)
    model = holes.Gaussian(holes.Encoding(schema, cells), cells)
    removed = holes.removed_cells(400, 3, 0.5)
    log_prob, chain = model.cell_log_prob(cells, removed)
    assert (np.isnan(log_prob) == ~removed).all()
    joint = stats.multivariate_normal(x.mean(0), np.cov(x.T))
    for row in range(40):
        seen = np.flatnonzero(~removed[row])
        gone = np.flatnonzero(removed[row])
        mean, covariance = x.mean(0), np.cov(x.T)
        known = 0.0
        if len(seen):
            part = stats.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)])
            known = part.logpdf(x[row, seen])
        expected = joint.logpdf(x[row]) - known
        assert np.nansum(chain[row]) == pytest.approx(expected, abs=1e-3)
        for i in gone:
            both = np.append(seen, i)
            part = stats.multivariate_normal(mean[both], covariance[np.ix_(both, both)])
            value = part.logpdf(x[row, both]) - known
            assert log_prob[row, i] == pytest.approx(value, abs=1e-3)


def test_chained_equations_of_normals_are_nearly_the_gaussian(quality):
    _, _, holes = quality
    schema, cells, _ = normal_table(2000)
    encoding = holes.Encoding(schema, cells)
    removed = holes.removed_cells(2000, 3, 0.4)
    exact = holes.Gaussian(encoding, cells).cell_log_prob(cells, removed)[0]
    chained = holes.ChainedEquations(encoding, cells).cell_log_prob(cells, removed)
    assert np.nanmean(exact - chained) == pytest.approx(0.02, abs=0.03)


def test_predictions_of_bounded_and_whole_numbers_and_of_codes_sum_to_one(quality):
    _, _, holes = quality
    rng = np.random.default_rng(4)
    schema = Schema([Integer("k", low=0, high=6), Interval("u", 0, 1, atoms=(0, 1)), Boolean("b")])
    cells = {
        "k": cells_of(rng.integers(0, 7, 200)),
        "u": cells_of(np.clip(rng.normal(0.5, 0.4, 200), 0, 1)),
        "b": cells_of(rng.integers(0, 2, 200)),
    }
    encoding = holes.Encoding(schema, cells)

    def prob(i, values, mean, std):
        name = schema.names[i]
        x = encoding.encode(cells | {name: cells_of(values)})[:, encoding.slices[i]]
        shape = np.ones_like(x)
        return np.exp(encoding.mixed_log_prob(i, x, mean * shape, std * shape))

    fixed = {name: Cells(c.values[:7], c.missing[:7]) for name, c in cells.items()}
    cells = fixed
    assert prob(0, np.arange(7), 0.8, 0.5).sum() == pytest.approx(1, abs=1e-9)
    grid = (np.arange(2000) + 0.5) / 2000
    cells = {n: Cells(np.resize(c.values, 2000), np.zeros(2000, bool)) for n, c in fixed.items()}
    density = prob(1, grid, 0.9, 0.7).mean()
    cells = {n: Cells(c.values[:2], c.missing[:2]) for n, c in fixed.items()}
    assert density + prob(1, np.array([0.0, 1.0]), 0.9, 0.7).sum() == pytest.approx(1, abs=1e-4)
    assert prob(2, np.array([0, 1]), np.array([0.3, 0.9]), 1.0).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.slow
def test_trees_tell_samples_from_rows_only_where_they_differ(quality):
    _, fidelity, _ = quality
    rng = np.random.default_rng(5)

    def draw(n, link):
        x = rng.normal(size=n)
        code = np.where((x > 0) == (rng.random(n) < link), "yes", "no")
        return pd.DataFrame({"x": x, "code": code})

    rows = draw(400, 0.95)
    assert abs(fidelity.two_sample_auc(rows, draw(800, 0.95), rows, 2).mean() - 0.5) < 0.06
    assert fidelity.two_sample_auc(rows, draw(400, 0.5), rows, 1)[0] > 0.65
    accuracy, area = fidelity.classifier_scores(draw(400, 0.95), rows, "code", "yes", rows)
    assert accuracy > 0.9
    assert area > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("part", ["quality", "holes"])
def test_a_whole_run_writes_its_table(part, tmp_path):
    rng = np.random.default_rng(6)
    x = rng.normal(size=300)
    frame = pd.DataFrame(
        {"x": x, "income": np.where(x + rng.normal(size=300) > 0, ">50K", "<=50K")}
    )
    frame.to_csv(tmp_path / "data.csv", index=False)
    command = [sys.executable, SCRIPTS / "benchmark_tables.py", part, tmp_path / "data.csv"]
    out = tmp_path / "table.csv"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
    command += ["--out", out, "--repeats", "1"]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    with open(out, newline="") as file:
        heading, *rows = csv.reader(file)
    expected = {"quality": 5, "holes": 6}[part]
    assert heading[0] == "model"
    assert len(rows) == expected
    assert all(len(row) == len(heading) for row in rows)
