"""Thresholds with guarantees: conformal p-values, false-alarm rates, batches, drift.

Scores are larger for rows that are more abnormal. What is promised holds for any score, if the
calibration rows and new normal rows are exchangeable and no calibration row was trained on.
"""

import math
from typing import NamedTuple

import numpy as np


def p_values(calibration: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Conformal p-values of scores, `[n]`: small where a row is abnormal.

        p = (1 + how many calibration scores are at least this one) / (1 + calibration rows)

    For a normal row P(p <= a) <= a for each a, exactly floor(a (m + 1)) / (m + 1) where no scores
    are tied (Vovk et al. 2005; Bates et al. 2023, https://arxiv.org/abs/2104.08279, equation 1).

    Args:
        calibration: scores `[m]` of held-out normal rows.
        scores: of new rows, `[n]`.

    Raises:
        ValueError: there are no calibration scores, or one is NaN.

    Example:
        >>> p_values([1.0, 2.0, 3.0], [2.5, 9.0])
        array([0.5 , 0.25])
    """
    calibration = _checked("calibration", calibration)
    scores = np.asarray(scores, "float64")
    below = np.searchsorted(np.sort(calibration), scores, side="left")
    p = (1 + len(calibration) - below) / (1 + len(calibration))
    return np.where(np.isnan(scores), np.nan, p)


def threshold(calibration: np.ndarray, false_alarm_rate: float) -> float:
    """The score above which a row is called abnormal, for a rate of false alarms.

    The k-th smallest calibration score, k = ceil((1 - rate) (m + 1)). A new normal row exceeds it
    with a probability of at most the rate, over calibration and new rows together; given the
    calibration rows the rate of alarms is Beta(m + 1 - k, k) where no scores are tied (Vovk 2012).

    Args:
        calibration: scores `[m]` of held-out normal rows.
        false_alarm_rate: between 0 and 1.

    Raises:
        ValueError: the rate is not between 0 and 1, or too small for so few calibration rows.
    """
    calibration = np.sort(_checked("calibration", calibration))
    needed = rows_needed(false_alarm_rate)
    if len(calibration) < needed:
        raise ValueError(
            f"A false-alarm rate of {false_alarm_rate:g} takes at least {needed:,} calibration "
            f"rows. Received: {len(calibration):,}, which can give 1 / {len(calibration) + 1:,}"
        )
    rank = math.ceil((1 - false_alarm_rate) * (len(calibration) + 1) - 1e-9)
    return float(calibration[rank - 1])


def rows_needed(false_alarm_rate: float) -> int:
    """How many calibration rows a false-alarm rate takes at least: 1 / rate - 1, rounded up."""
    if not 0 < false_alarm_rate < 1:
        raise ValueError(
            f"Expected `false_alarm_rate` to be between 0 and 1. Received: {false_alarm_rate!r}"
        )
    return max(1, math.ceil(1 / false_alarm_rate - 1 - 1e-9))


def benjamini_hochberg(p: np.ndarray, false_discovery_rate: float = 0.1) -> np.ndarray:
    """Which rows of a batch are abnormal, bool `[n]`, few of them falsely.

    At most this share of those that are called abnormal is normal, in expectation (Benjamini and
    Hochberg 1995); conformal p-values of one calibration set keep that (Bates et al. 2023, theorem
    2).

    Args:
        p: p-values `[n]` of a batch.
        false_discovery_rate: between 0 and 1.

    Example:
        >>> benjamini_hochberg([0.01, 0.9, 0.02, 0.5], 0.1)
        array([ True, False,  True, False])
    """
    p = _checked("p", p)
    if not 0 < false_discovery_rate < 1:
        raise ValueError(
            "Expected `false_discovery_rate` to be between 0 and 1. "
            f"Received: {false_discovery_rate!r}"
        )
    order = np.argsort(p, kind="stable")
    passes = p[order] <= false_discovery_rate * np.arange(1, len(p) + 1) / len(p)
    last = np.flatnonzero(passes)
    found = np.zeros(len(p), bool)
    if len(last):
        found[order[: last[-1] + 1]] = True
    return found


class Drift(NamedTuple):
    """Whether a stream has left what is normal: a statistic, and its p-value."""

    statistic: float
    p_value: float


def drift(calibration: np.ndarray, scores: np.ndarray) -> Drift:
    """Whether scores of new rows have another distribution than the calibration scores.

    The two-sample Kolmogorov-Smirnov test. It sees shifts of many rows that are no anomalies each,
    and rows that are all too normal, which no threshold sees.

    Args:
        calibration: scores `[m]` of held-out normal rows.
        scores: of a stretch of a stream, `[n]`.

    Raises:
        ValueError: one of them is empty, or has NaN.
    """
    from scipy import stats

    calibration, scores = _checked("calibration", calibration), _checked("scores", scores)
    result = stats.ks_2samp(calibration, scores)
    return Drift(float(result.statistic), float(result.pvalue))


def _checked(name, values):
    values = np.asarray(values, "float64")
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        came = "NaN among them" if np.isnan(values).any() else f"shape {values.shape}"
        raise ValueError(
            f"Expected `{name}` to be numbers of shape (n,), at least 1. Received: {came}"
        )
    return values
