"""The numbers that a report of a detector shows."""

from typing import NamedTuple

import numpy as np

from tfflows.anomaly.conformal import Drift
from tfflows.anomaly.explaining import Explanation

FALSE_DISCOVERY_RATE = 0.1


class AnomalyReport(NamedTuple):
    """The numbers of a report.

    Attributes:
        title: what the rows are called.
        score: name of the score.
        scores: of the rows, larger where more abnormal, `[n]`.
        calibration: scores of the calibration rows.
        threshold: above which rows are called abnormal.
        false_alarm_rate: of the threshold.
        p_values: of the rows.
        found: how many rows `find` gives with a false discovery rate of 10 %.
        drift: of the scores.
        labels: which rows are anomalies, bool `[n]`, or None.
        top: numbers of the most abnormal rows, the most abnormal first.
        explanation: of these rows.
    """

    title: str
    score: str
    scores: np.ndarray
    calibration: np.ndarray
    threshold: float
    false_alarm_rate: float
    p_values: np.ndarray
    found: int
    drift: Drift
    labels: np.ndarray | None
    top: np.ndarray
    explanation: Explanation
