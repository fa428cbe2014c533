"""Numbers of the zoo's detectors: of rows that travel with them, and of the test rows."""

import tempfile
from pathlib import Path

import numpy as np

from tfflows.anomaly.detector import AnomalyDetector
from tfflows.anomaly.files import Labelled, read_file
from tfflows.anomaly.rows import is_frame, take
from tfflows.anomaly.saved_detector import SavedDetector
from tfflows.zoo.detector_recipe import DetectorRecipe
from tfflows.zoo.model_card import FalseAlarms, Metric


def num_parameters(detector: AnomalyDetector) -> int:
    """Weights of a detector's models, and the statistics of its score."""
    return SavedDetector.of(detector).count_params()


def spread(labelled: Labelled, num_rows: int | None) -> Labelled:
    """Evenly spread rows, half of them anomalies where there are as many; None takes all."""
    rows, labels = labelled
    assert labels is not None
    if num_rows is None or num_rows >= len(rows):
        return labelled
    abnormal = _evenly(np.flatnonzero(labels), num_rows // 2)
    normal = _evenly(np.flatnonzero(~labels), num_rows - len(abnormal))
    places = np.concatenate([normal, abnormal])
    return Labelled(take(rows, places), labels[places])


def _evenly(places, count):
    if count >= len(places):
        return places
    return places[np.linspace(0, len(places) - 1, count).astype("int64")]


def fixture_arrays(detector: AnomalyDetector, labelled: Labelled) -> dict[str, np.ndarray]:
    """What a fixture holds of rows: themselves, or the bytes of a CSV file; labels and scores."""
    rows, labels = labelled
    arrays = {"label": np.asarray(labels)}
    if is_frame(rows):
        text = rows.to_csv(index=False, lineterminator="\n")
        arrays["rows"] = np.frombuffer(text.encode("utf-8"), "uint8")
    else:
        arrays["x"] = rows
    return {**arrays, "score": scores_of(detector, arrays)}


def scores_of(detector: AnomalyDetector, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Scores `[n]`, float64, of the rows of a fixture.

    Raises:
        ValueError: they are not rows of the detector.
    """
    if "x" in arrays:
        return np.asarray(detector.score_samples(arrays["x"]), "float64")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(np.asarray(arrays["rows"], "uint8").tobytes())
        return np.asarray(detector.score_samples(read_file(path).rows), "float64")


def area_under_roc(scores: np.ndarray, labels: np.ndarray) -> float:
    """AUROC of scores that are lower for anomalies."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, -scores))


def evaluate_detector(
    detector: AnomalyDetector,
    recipe: DetectorRecipe,
    data_dir: str | Path | None = None,
    num_rows: int | None = None,
) -> Metric:
    """AUROC on the test rows of a recipe, and how many of the normal ones are called abnormal.

    The standard error is that of Hanley and McNeil 1982, https://doi.org/10.1148/radiology.143.1.7063747.

    Args:
        detector: a fitted one.
        recipe: which names the data.
        data_dir: as in `DetectorRecipe.rows`.
        num_rows: of the test rows, evenly spread; None takes all.
    """
    rows, labels = spread(recipe.rows("test", data_dir), num_rows)
    assert labels is not None
    scores = np.asarray(detector.score_samples(rows), "float64")
    alarms = scores[~labels] < detector.threshold_
    area = area_under_roc(scores, labels)
    return Metric(
        units="AUROC",
        value=area,
        standard_error=standard_error(area, int((~labels).sum()), int(labels.sum())),
        num_examples=len(scores),
        false_alarms=FalseAlarms(
            nominal=detector.false_alarm_rate, found=float(alarms.mean()), num_examples=len(alarms)
        ),
    )


def standard_error(area: float, num_normal: int, num_abnormal: int) -> float:
    """Of an AUROC, by Hanley and McNeil's formula."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (num_abnormal - 1) * (q1 - area**2) + (num_normal - 1) * (q2 - area**2)
    return float(np.sqrt(max(variance, 0.0) / (num_normal * num_abnormal)))
