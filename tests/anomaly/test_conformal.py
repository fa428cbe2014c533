"""Conformal p-values, thresholds and batches against what theory promises of them."""

import numpy as np
import pytest
from scipy import stats

from tfflows.anomaly import conformal


def test_p_values_count_calibration_scores_that_are_at_least_as_large():
    rng = np.random.default_rng(0)
    calibration, scores = rng.integers(0, 9, 40), rng.integers(-2, 12, 30)  # with ties
    expected = [(1 + sum(c >= s for c in calibration)) / 41 for s in scores]
    np.testing.assert_allclose(conformal.p_values(calibration, scores), expected)
    assert np.isnan(conformal.p_values(calibration, [np.nan])).all()


def test_p_values_of_normal_rows_are_uniform_on_their_grid():
    rng = np.random.default_rng(1)
    p = np.concatenate(
        [conformal.p_values(rng.normal(size=19), rng.normal(size=1)) for _ in range(20_000)]
    )
    counts = np.bincount(np.round(p * 20).astype(int), minlength=21)[1:]
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.5])
def test_a_threshold_has_its_rate_of_false_alarms(rate):
    """Given the calibration rows the rate is Beta(m + 1 - k, k): here that of uniform scores."""
    rows = 99
    rng = np.random.default_rng(2)
    rates = [1 - conformal.threshold(rng.random(rows), rate) for _ in range(4_000)]
    k = round((1 - rate) * (rows + 1))
    assert stats.kstest(rates, stats.beta(rows + 1 - k, k).cdf).pvalue > 1e-4
    assert np.mean(rates) < rate + 4 * np.std(rates) / np.sqrt(len(rates))


def test_a_threshold_is_where_p_values_fall_to_the_rate():
    rng = np.random.default_rng(3)
    calibration, scores = rng.normal(size=199), rng.normal(size=5_000)
    alarms = scores > conformal.threshold(calibration, 0.05)
    np.testing.assert_array_equal(alarms, conformal.p_values(calibration, scores) <= 0.05)


def test_a_rate_that_the_rows_cannot_give_says_how_many_it_takes():
    with pytest.raises(ValueError, match=r"at least 9,999 calibration rows. Received: 100"):
        conformal.threshold(np.arange(100), 1e-4)
    assert conformal.rows_needed(0.05) == 19
    assert conformal.threshold(np.arange(19), 0.05) == 18
    with pytest.raises(ValueError, match=r"between 0 and 1. Received: 1.5"):
        conformal.threshold(np.arange(100), 1.5)


def test_benjamini_hochberg_is_that_of_scipy_and_keeps_its_rate():
    rng = np.random.default_rng(4)
    shares = []
    for _ in range(400):
        calibration = rng.normal(size=500)
        scores = np.concatenate([rng.normal(size=90), rng.normal(3.5, size=10)])
        p = conformal.p_values(calibration, scores)
        found = conformal.benjamini_hochberg(p, 0.2)
        np.testing.assert_array_equal(found, stats.false_discovery_control(p) <= 0.2 + 1e-12)
        shares.append(found[:90].sum() / max(found.sum(), 1))
    assert np.mean(shares) < 0.2 + 4 * np.std(shares) / 20
    assert not conformal.benjamini_hochberg(np.full(5, 0.9)).any()


def test_drift_is_seen_both_ways_and_not_where_there_is_none():
    rng = np.random.default_rng(5)
    calibration = rng.normal(size=2_000)
    same = [conformal.drift(calibration, rng.normal(size=300)).p_value for _ in range(300)]
    assert np.mean(np.array(same) < 0.05) < 0.12
    assert conformal.drift(calibration, rng.normal(0.5, size=300)).p_value < 1e-6
    assert conformal.drift(calibration, 0.3 * rng.normal(size=300)).p_value < 1e-6


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], [[1.0]]])
def test_calibration_scores_must_be_numbers(values):
    with pytest.raises(ValueError, match="Expected `calibration` to be numbers of shape"):
        conformal.p_values(values, [1.0])
