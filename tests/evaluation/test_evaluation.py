"""Held-out numbers against closed forms."""

import numpy as np
import pytest
import scipy.stats
from layer_table import randomize
from model_table import data_for, small_flow, small_image_flow

import tfflows
from tfflows import layers
from tfflows.evaluation import plots
from tfflows.evaluation.evaluation import GaussianBaseline, evaluate


def batches(x, size=100):
    return [x[i : i + size] for i in range(0, len(x), size)]


def test_an_array_is_one_batch():
    flow, x = small_flow(num_couplings=1), np.random.default_rng(0).normal(size=(20, 2))
    x = x.astype("float32")
    assert evaluate(flow, x) == evaluate(flow, [x])
    assert GaussianBaseline(x).evaluate(x) == GaussianBaseline([x]).evaluate([x])


def test_evaluate_gives_mean_error_and_bits():
    flow = randomize(small_flow())
    x = data_for(flow, 250)
    log_prob = np.asarray(flow.log_prob(x), "float64")
    result = evaluate(flow, batches(x))
    assert result.num_examples == 250
    assert result.log_likelihood == pytest.approx(log_prob.mean(), abs=1e-5)
    assert result.standard_error == pytest.approx(log_prob.std(ddof=1) / 250**0.5, rel=1e-4)
    assert result.bits_per_dim == pytest.approx(-log_prob.mean() / 2 / np.log(2), abs=1e-5)
    assert 0 < result.round_trip_error < 1e-3
    assert "250 rows" in str(result)


def test_many_draws_of_noise_reach_the_discrete_likelihood():
    flow = tfflows.Flow([layers.Dequantize(4)], (1,))
    x = np.arange(4)[:, None]
    cdf = scipy.stats.norm.cdf(np.arange(5) / 4)
    one, few, many = (flow.log_prob(x, num_draws=k) for k in (1, 2, 400))
    np.testing.assert_allclose(many, np.log(np.diff(cdf)), atol=8e-3)
    np.testing.assert_array_equal(one, flow.log_prob(x))
    assert not np.array_equal(one, few)
    result = evaluate(flow, [x], num_draws=400)
    assert result.log_likelihood == pytest.approx(np.log(np.diff(cdf)).mean(), abs=8e-3)
    assert "400 draws" in str(result)


@pytest.mark.parametrize("draws", [0, -1, 2])
def test_draws_that_cannot_be_are_refused(draws):
    with pytest.raises(ValueError, match=f"begins with Dequantize. Received: {draws}"):
        small_flow(num_couplings=1).log_prob(np.zeros((1, 2), "float32"), num_draws=draws)


def test_a_nan_is_an_answer():
    flow = tfflows.Flow([layers.DiagonalScaling()], (2,))
    x = np.full((4, 2), np.nan, "float32")
    assert np.isnan(evaluate(flow, [x]).log_likelihood)
    assert np.isnan(evaluate(flow, [x]).round_trip_error)


def test_discrete_flows_round_trip_and_count_levels():
    flow = randomize(small_image_flow(), spread=0.1)
    result = evaluate(flow, batches(data_for(flow, 64)))
    assert result.round_trip_error <= 1
    assert result.bits_per_dim == pytest.approx(-result.log_likelihood / 16 / np.log(2))


def test_nothing_to_evaluate_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        evaluate(small_flow(num_couplings=1), [])
    with pytest.raises(ValueError, match="empty"):
        GaussianBaseline([])
    with pytest.raises(ValueError, match="empty"):
        evaluate(small_flow(num_couplings=1), [np.zeros((0, 2), "float32")])


@pytest.mark.parametrize("mean", [5, 1e9])
def test_gaussian_baseline_is_the_maximum_likelihood_gaussian(mean):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3)) + mean
    baseline = GaussianBaseline(batches(x))
    wanted = scipy.stats.multivariate_normal(x.mean(0), np.cov(x.T, bias=True)).logpdf(x)
    np.testing.assert_allclose(baseline.log_prob(x), wanted, rtol=1e-4)
    got = baseline.evaluate(batches(x)).log_likelihood
    assert got == pytest.approx(wanted.mean(), rel=1e-4)


def scaled_gaussian(x):
    """SciPy's density of each row, of columns of one scale: it takes small eigenvalues for none."""
    scale = x.std(axis=0)
    rows = (x - x.mean(axis=0)) / scale
    normal = scipy.stats.multivariate_normal(np.zeros(x.shape[1]), np.cov(rows.T, bias=True))
    return normal.logpdf(rows) - np.log(scale).sum()


@pytest.mark.parametrize("scales", [[1e3, 1, 1e-2, 1e-1], [1e9, 1e-9, 1, 1e4]])
def test_gaussian_baseline_has_no_favourite_units(scales):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(2000, 4)) @ rng.normal(size=(4, 4)) + [5, 0, 1, 0]) * scales
    baseline = GaussianBaseline(batches(x))
    np.testing.assert_allclose(baseline.log_prob(x), scaled_gaussian(x), atol=1e-3)
    wanted = scaled_gaussian(x).mean()
    assert baseline.evaluate(batches(x)).log_likelihood == pytest.approx(wanted, abs=1e-3)


def test_gaussian_baseline_of_columns_that_are_determined_or_nearly():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3)) * [1, 1e4, 1]
    nearly = x[:, :1] + 1e-4 * x[:, 2:]  # leaves 1e-8 of its variance
    near = np.concatenate([x[:, :2], nearly], axis=1)
    np.testing.assert_allclose(
        GaussianBaseline(near).log_prob(near), scaled_gaussian(near), atol=1e-3
    )
    constant, double = np.full((2000, 1), 7.0), 3 * x[:, 1:2] - 1e5
    columns = np.concatenate([x, constant, double], axis=1)
    log_prob = GaussianBaseline(columns).log_prob(columns)
    # No more than constants are added for what has no density.
    added = -np.log(1e-6) * 2 - np.log(double.std()) - np.log(2 * np.pi)
    np.testing.assert_allclose(log_prob, scaled_gaussian(x) + added, atol=1e-3)


def test_gaussian_baseline_dequantizes_constant_pixels():
    x = np.zeros((400, 2, 2, 1), "uint8")
    result = GaussianBaseline([x], discrete=True).evaluate([x])
    uniform = 4 * 0.5 * (np.log(12) - np.log(2 * np.pi) - 1)  # a normal of variance 1 / 12
    assert result.log_likelihood == pytest.approx(uniform, abs=0.1)


def test_pictures_are_written_whole(tmp_path):
    flow = small_flow(num_couplings=1)
    x = np.random.default_rng(0).normal(size=(500, 2))
    plots.scatter(x, tmp_path / "scatter.png")
    plots.density_panels([("moons", x, flow, x)], tmp_path / "panels.png")
    plots.image_grid(np.zeros((10, 4, 4, 3)), tmp_path / "grid.png")
    for name in ("scatter", "panels", "grid"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(ValueError, match=r"\(3, 4, 4, 2\)"):
        plots.image_grid(np.zeros((3, 4, 4, 2)), tmp_path / "wrong.png")


def test_grid_density_has_the_first_coordinate_first():
    flow = tfflows.Flow([layers.ActNorm()], (2,))
    flow.flow_layers[0].shift.assign([2.0, 0.0])
    density = plots.grid_density(flow, bound=4.0, side=80)
    assert np.unravel_index(density.argmax(), density.shape)[0] == pytest.approx(60, abs=1)
    assert density.sum() * 0.1**2 == pytest.approx(1, abs=0.05)
