import numpy as np
import pytest
from scipy import integrate, stats

from tfflows.tables.baselines.quantile_histogram import QuantileHistogram

REALS = {
    "normal": stats.norm(2, 3),
    "bimodal": stats.norm(0, 1),
    "heavy tails": stats.t(2),
    "uniform": stats.uniform(-1, 4),
}


@pytest.mark.parametrize("rows", [1, 9, 5000])
def test_the_density_of_reals_integrates_to_one_with_its_tails(rows):
    x = stats.t(3).rvs(rows, random_state=1)
    histogram = QuantileHistogram(x)
    density = lambda at: float(np.exp(histogram.log_density(np.array([at])))[0])  # noqa: E731
    inner = np.sum(np.exp(histogram._log_density) * np.diff(histogram.edges))
    first, last = histogram.edges[[0, -1]]
    below = integrate.quad(density, -np.inf, first, epsabs=1e-10)[0]
    above = integrate.quad(density, np.nextafter(last, np.inf), np.inf, epsabs=1e-10)[0]
    assert below + inner + above == pytest.approx(1, abs=1e-6)
    assert below == pytest.approx(1 / (rows + 2), abs=1e-6)


def test_the_density_is_the_slope_of_the_cdf_and_quantiles_invert_it():
    histogram = QuantileHistogram(stats.lognorm(1).rvs(3000, random_state=2))
    u = np.linspace(1e-5, 1 - 1e-5, 4001)
    x = histogram.quantile(u)
    np.testing.assert_allclose(histogram.cdf(x), u, atol=1e-9)
    slope = np.diff(histogram.cdf(x)) / np.diff(x)
    inside = np.searchsorted(histogram.edges, x)
    same = (inside[:-1] == inside[1:]) & (inside[1:] % len(histogram.edges) > 0)
    density = np.exp(histogram.log_density((x[:-1] + x[1:]) / 2))
    assert same.sum() > 1000
    np.testing.assert_allclose(slope[same], density[same], rtol=2e-2)


@pytest.mark.parametrize(("low", "high"), [(None, None), (0, None), (0, 9), (2, 7)])
def test_the_masses_of_whole_numbers_sum_to_one(low, high):
    x = np.random.default_rng(0).integers(2, 8, 500)
    histogram = QuantileHistogram(x, low, high)
    k = np.arange(-20_000 if low is None else low, 20_000 if high is None else high + 1)
    masses = np.exp(histogram.log_density(k))
    assert masses.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(histogram.cdf(k + 1) - histogram.cdf(k), masses, atol=1e-14)
    if low is not None:
        assert histogram.log_density(np.array([low - 1]))[0] == -np.inf


@pytest.mark.parametrize("name", REALS)
def test_held_out_rows_are_nearly_as_likely_as_they_can_be(name):
    truth = REALS[name]
    x = truth.rvs(20_000, random_state=3)
    new = truth.rvs(20_000, random_state=4)
    if name == "bimodal":
        side = 8 * (np.arange(len(x)) % 2)
        x, new = x + side, new + side
        best = np.logaddexp(truth.logpdf(new), truth.logpdf(new - 8)) - np.log(2)
    else:
        best = truth.logpdf(new)
    gap = np.mean(best - QuantileHistogram(x).log_density(new))
    assert gap < 0.025


def test_heaped_whole_numbers_keep_their_heaps_and_the_rest_is_smooth():
    rng = np.random.default_rng(5)

    def draw(n):
        smooth = rng.integers(0, 100_000, n)
        return np.where(rng.random(n) < 0.4, rng.choice([12_345, 77_777], n), smooth)

    histogram = QuantileHistogram(draw(20_000), low=0)
    best = np.where(np.isin(new := draw(20_000), [12_345, 77_777]), np.log(0.2), np.log(0.6e-5))
    assert abs(np.mean(best - histogram.log_density(new))) < 0.05
    np.testing.assert_allclose(
        np.exp(histogram.log_density(np.array([12_345, 77_777]))), 0.2, atol=0.02
    )


def test_ticks_of_nanoseconds_keep_single_values_apart():
    base = 1_600_000_000_000_000_000
    x = base + np.array([0, 1, 1, 2**60] * 50)
    histogram = QuantileHistogram(x)
    masses = np.exp(histogram.log_density(base + np.array([0, 1, 2, 2**60])))
    assert masses[1] == pytest.approx(0.5, abs=0.06)
    assert masses[0] == pytest.approx(masses[3], rel=0.1)
    assert masses[2] < 1e-3
    drawn = histogram.quantile(np.random.default_rng(0).random(20_000))
    assert np.mean(drawn == base + 1) == pytest.approx(masses[1], abs=0.02)
