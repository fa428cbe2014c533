"""Maps of columns of numbers: increasing, invertible, with the slope that autodiff gives."""

import keras
import numpy as np
import pytest

from tfflows.tables import Datetime, Integer, Interval, Positive, Real
from tfflows.tables.marginal import fit_marginal
from tfflows.tables.number_head import MAX_KNOTS
from tfflows.tables.spline import pad_knots, spline, spline_inverse

RANDOM = np.random.default_rng(0)
COLUMNS = {
    "normal": (Real("x"), RANDOM.normal(3, 2, 2000)),
    "heavy tails": (Real("x"), RANDOM.standard_cauchy(2000)),
    "two values": (Real("x"), RANDOM.choice([1.0, 2.0], 200)),
    "constant": (Real("x"), np.full(50, 7.0)),
    "empty": (Real("x"), np.zeros(0)),
    "huge": (Real("x"), 1e9 + RANDOM.normal(size=500)),
    "log-normal": (Positive("x"), RANDOM.lognormal(0, 3, 2000)),
    "beta": (Interval("x", -1, 4), -1 + 5 * RANDOM.beta(0.3, 0.5, 2000)),
    "counts": (Integer("x", low=0), RANDOM.poisson(2, 2000)),
    "spikes": (
        Integer("x"),
        np.concatenate([np.zeros(1800, int), RANDOM.integers(0, 10**5, 200)]),
    ),
    "seconds": (Datetime("x", "s"), RANDOM.integers(10**9, 2 * 10**9, 3000)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_maps_increase_and_come_back(name):
    column, values = COLUMNS[name]
    marginal = fit_marginal(column, values)
    if not len(values):
        values = np.array([-2.0, 0.0, 5.0])
    x = np.sort((values - marginal.origin).astype("float64"))
    z, log_slope = marginal.forward(x)
    assert (np.diff(z) >= 0).all()
    assert np.isfinite(log_slope).all()
    spread = x[-1] - x[0] or 1.0
    np.testing.assert_allclose(marginal.inverse(z), x, rtol=1e-9, atol=1e-9 * spread)


@pytest.mark.parametrize("name", ["normal", "heavy tails", "log-normal", "beta"])
def test_slopes_are_those_of_differences(name):
    column, values = COLUMNS[name]
    marginal = fit_marginal(column, values)
    x = np.quantile(values, np.linspace(0.01, 0.99, 200)) + 1e-9
    low, high = column.bounds
    step = 1e-6 * np.minimum(1, np.minimum(x - low, high - x))
    slope = (marginal.forward(x + step)[0] - marginal.forward(x - step)[0]) / (2 * step)
    np.testing.assert_allclose(np.log(slope), marginal.forward(x)[1], atol=2e-3)


def test_a_normal_column_is_about_standard_normal_and_others_too():
    for name in ("normal", "log-normal", "beta", "seconds"):
        column, values = COLUMNS[name]
        marginal = fit_marginal(column, values)
        z, _ = marginal.forward((values - marginal.origin).astype("float64"))
        assert abs(z.mean()) < 0.1
        assert abs(z.std() - 1) < 0.1


def test_cells_of_whole_numbers_cover_the_line():
    column = Integer("x", low=-2, high=30)
    marginal = fit_marginal(column, RANDOM.poisson(4, 500))
    x = np.arange(-2, 31) - marginal.origin
    _, lower, upper, log_width = marginal.cells(x.astype("float64"))
    np.testing.assert_allclose(upper[:-1], lower[1:])
    np.testing.assert_allclose(np.exp(log_width), upper - lower, rtol=1e-9)
    assert (lower[0], upper[-1]) == (-1e6, 1e6)


def test_padded_knots_are_the_same_function_in_both_array_modules():
    marginal = fit_marginal(*COLUMNS["heavy tails"])
    padded = pad_knots(marginal.knots, MAX_KNOTS)
    assert len(padded.x) == MAX_KNOTS
    x = np.linspace(-20, 20, 101)
    y, log_slope = spline(np, x, marginal.knots)
    for result, expected in zip(spline(np, x, padded), (y, log_slope), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
    float32 = type(padded)(*(np.asarray(part, "float32") for part in padded))
    for result, expected in zip(
        spline(keras.ops, x.astype("float32"), float32), (y, log_slope), strict=True
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4)
    back = spline_inverse(keras.ops, y.astype("float32"), float32)
    np.testing.assert_allclose(back, x, rtol=1e-3, atol=1e-3)
