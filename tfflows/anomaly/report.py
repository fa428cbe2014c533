"""The report of a detector on rows: one static HTML page."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfflows.anomaly import conformal
from tfflows.anomaly.detector import AnomalyDetector
from tfflows.anomaly.explaining import Explanation
from tfflows.anomaly.rows import read_rows, take
from tfflows.tables import TableFlow
from tfflows.utils.atomic import replaced_on_success

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
    drift: conformal.Drift
    labels: np.ndarray | None
    top: np.ndarray
    explanation: Explanation


def write_report(
    detector: AnomalyDetector,
    X: Any,
    out: str | Path,
    *,
    labels: np.ndarray | None = None,
    top: int = 20,
    title: str = "Rows",
) -> AnomalyReport:
    """Write a page of what a detector says of rows, and return its numbers.

    The distribution of the scores and the threshold, how many rows are called abnormal, whether the
    rows have drifted, the most abnormal ones with their reasons, and, with labels, the ROC and the
    precision-recall curve.

    Args:
        detector: a fitted detector.
        X: rows, as it takes them.
        out: an .html file.
        labels: 1 for anomalies and 0 for normal rows, `[n]`, or None.
        top: how many of the most abnormal rows are shown.
        title: what the rows are called.

    Raises:
        ValueError: rows or labels that do not fit.
    """
    from tfflows.anomaly.files import check_labels
    from tfflows.anomaly.report_page import page

    if Path(out).suffix != ".html":
        raise ValueError(f"A report is written to an .html file. Received: {out}")
    rows = read_rows(X, is_table=isinstance(detector.model_, TableFlow))
    if labels is not None:
        labels = check_labels(labels, "labels")
        if len(labels) != len(rows):
            raise ValueError(f"Expected {len(rows):,} labels. Received: {len(labels):,}")
    scores = -detector.score_samples(rows)
    calibration = -detector.calibration_scores_
    p_values = conformal.p_values(calibration, scores)
    places = np.argsort(-scores, kind="stable")[:top]
    report = AnomalyReport(
        title=title,
        score=str(detector.score_name_),
        scores=scores,
        calibration=calibration,
        threshold=-detector.threshold_,
        false_alarm_rate=detector.false_alarm_rate,
        p_values=p_values,
        found=int(conformal.benjamini_hochberg(p_values, FALSE_DISCOVERY_RATE).sum()),
        drift=conformal.drift(calibration, scores),
        labels=labels,
        top=places,
        explanation=detector.explain(take(rows, places)),
    )
    text = page(report)
    with replaced_on_success(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return report
