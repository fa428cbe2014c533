import numpy as np
import pytest
from scipy import stats

from tfflows.tables import Boolean, Category, Cells, Integer, Real, Schema
from tfflows.tables.baselines import GaussianCopula, IndependentColumns

CORRELATION = np.array(
    [[1, 0.6, -0.3, 0.2], [0.6, 1, 0.1, 0.4], [-0.3, 0.1, 1, 0], [0.2, 0.4, 0, 1]]
)


def cells_of(values):
    return Cells(np.asarray(values), np.zeros(len(values), bool))


def mixed_table(rows, seed=0):
    """Two reals, a count and a boolean of correlated normals."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((rows, 4)) @ np.linalg.cholesky(CORRELATION).T
    schema = Schema([Real("a"), Real("b"), Integer("k", low=0), Boolean("flag")])
    cells = {
        "a": cells_of(np.sinh(z[:, 0])),
        "b": cells_of(3 + z[:, 1]),
        "k": cells_of(stats.poisson(1.5).ppf(stats.norm.cdf(z[:, 2])).astype("int64")),
        "flag": cells_of((z[:, 3] > 0.5).astype("int64")),
    }
    return schema, cells


def test_the_correlation_of_latents_is_found_under_discrete_marginals():
    model = GaussianCopula.fit(*mixed_table(10_000))
    np.testing.assert_allclose(model.correlation, CORRELATION, atol=0.04)
    np.testing.assert_allclose(np.diag(model.correlation), 1)


def test_the_density_is_that_of_scipy():
    """Points by the normal density, intervals by the normal distribution function given them."""
    schema, cells = mixed_table(300)
    marginals = IndependentColumns.fit(schema, cells).marginals
    model = GaussianCopula(schema, marginals, CORRELATION)
    some = {name: Cells(c.values[:12], c.missing[:12]) for name, c in cells.items()}
    log_prob = model.log_prob(some, num_draws=4096)
    ends = [marginals[name].interval(some[name]) for name in schema.names]
    low, high = (stats.norm.ppf(np.stack(side, 1)) for side in zip(*ends, strict=True))
    points, boxes = CORRELATION[:2, :2], CORRELATION[2:, 2:]
    weights = CORRELATION[2:, :2] @ np.linalg.inv(points)
    conditional = stats.multivariate_normal(cov=boxes - weights @ CORRELATION[:2, 2:])
    for row in range(12):
        z = low[row, :2]
        shift = weights @ z
        mass = conditional.cdf(high[row, 2:] - shift, lower_limit=low[row, 2:] - shift)
        expected = stats.multivariate_normal(cov=points).logpdf(z) - stats.norm.logpdf(z).sum()
        expected += sum(marginals[n].log_prob(some[n])[row] for n in ("a", "b")) + np.log(mass)
        assert log_prob[row] == pytest.approx(expected, abs=3e-3)


def test_the_estimate_is_unbiased_and_its_logarithm_tightens_from_below():
    rng = np.random.default_rng(1)
    z = rng.standard_normal((2000, 1)) + 0.5 * rng.standard_normal((2000, 5))
    schema = Schema([Category(f"c{i}", tuple("abc")) for i in range(5)])
    codes = np.digitize(z, [-0.8, 0.8])
    model = GaussianCopula.fit(schema, {f"c{i}": cells_of(codes[:, i]) for i in range(5)})
    row = {f"c{i}": cells_of(np.full(4000, codes[0, i])) for i in range(5)}
    single = model.log_prob(row, num_draws=1)
    truth = model.log_prob({n: cells_of(c.values[:50]) for n, c in row.items()}, num_draws=2048)
    mean = np.exp(single).mean()
    error = np.exp(single).std() / len(single) ** 0.5
    assert abs(mean - np.exp(truth).mean()) < 4 * error
    assert single.mean() < truth.mean() - 0.01
    assert truth.std() < 0.01


def test_columns_that_repeat_each_other_stay_finite():
    x = np.random.default_rng(2).normal(size=500)
    schema = Schema([Real("a"), Real("b"), Boolean("c"), Boolean("d")])
    code = cells_of((x > 0).astype("int64"))
    cells = {"a": cells_of(x), "b": cells_of(x), "c": code, "d": code}
    model = GaussianCopula.fit(schema, cells)
    assert np.linalg.eigvalsh(model.correlation).min() > 0
    assert np.isfinite(model.log_prob(cells)).all()
