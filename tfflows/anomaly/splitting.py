"""Which of the normal rows train, and which calibrate."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfflows.anomaly.conformal import rows_needed
from tfflows.anomaly.training import is_trained

if TYPE_CHECKING:
    from tfflows.anomaly.detector import AnomalyDetector

MIN_ROWS = 20
MIN_TRAINED = 10  # as `tfflows.tables.fit` has it


class Split(NamedTuple):
    """Places of rows: those that calibrate, and the rest, which the model and the score see."""

    calibration: np.ndarray
    rest: np.ndarray


def split_rows(rows: int, detector: "AnomalyDetector") -> Split:
    """A random split by the detector's seed.

    A share calibrates, and more where the rate of false alarms takes more rows. Where the model is
    trained already half of the rows calibrate, and the other half fits the score.

    Raises:
        ValueError: there are too few rows; how many it takes is said.
    """
    if rows < MIN_ROWS:
        raise ValueError(f"Expected at least {MIN_ROWS} normal rows. Received: {rows}")
    rate = detector.false_alarm_rate
    needed = rows_needed(rate)
    has_model = detector.model is not None and is_trained(detector.model)
    share = 0.5 if has_model else detector.calibration
    count = max(round(share * rows), needed)
    least = MIN_TRAINED if has_model else max(MIN_TRAINED, min(needed, 20))
    if rows - count < least:
        possible = 1 / (rows - least + 1)
        raise ValueError(
            f"A false-alarm rate of {rate:g} takes at least {needed:,} calibration rows, beside "
            f"{least} or more that are trained on: {needed + least:,} normal rows. Received: "
            f"{rows:,}, which can give a rate of {possible:.2g}"
        )
    order = np.random.default_rng(detector.seed).permutation(rows)
    return Split(np.sort(order[:count]), np.sort(order[count:]))
