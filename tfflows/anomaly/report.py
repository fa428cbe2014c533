"""The report of a detector on rows: one static HTML page."""

from pathlib import Path
from typing import Any

import numpy as np

from tfflows.anomaly import conformal
from tfflows.anomaly.detector import AnomalyDetector
from tfflows.anomaly.files import check_labels
from tfflows.anomaly.report_numbers import FALSE_DISCOVERY_RATE, AnomalyReport
from tfflows.anomaly.report_page import page
from tfflows.anomaly.rows import read_rows, take
from tfflows.tables import TableFlow
from tfflows.utils.atomic import replaced_on_success


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
