"""`AnomalyDetector(score="auto")` with its default model on the splits of the study.

    KERAS_BACKEND=jax python -m scripts.anomaly_study.auto --scores FOLDER

A fifth of the training rows calibrates, as it does for users: the model and the score see the rest.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from scripts.anomaly_study import tables
from tfflows.anomaly import AnomalyDetector, densities

densities.ROW_SIZES = (1, 256, 1024)  # fewer to compile; scores do not depend on it


def run(name, seed, contamination=0.0, assumed=0.0):
    """Scores of the test rows and of the calibration rows, larger where more abnormal."""
    split = tables.split(name, seed, contamination=contamination)
    start = time.perf_counter()
    # The default rate takes more rows than the smallest table has; scores do not depend on it.
    rate = 0.05 if len(split.train) >= 40 else 0.1
    options = {"seed": seed, "contamination": assumed, "max_minutes": None}
    detector = AnomalyDetector(false_alarm_rate=rate, **options)
    detector.fit(split.train)
    test = -detector.score_samples(split.test)
    seconds = time.perf_counter() - start
    members = {}
    if seed == 0 and detector.score_name_ == "smallest_p_value":
        inputs = (split.test.astype("float32"),)
        members = {type(m).__name__: m.of_inputs(inputs) for m in detector.score_.members}
    arrays = {"test": test, "calibration": -detector.calibration_scores_, **members}
    return {**arrays, "seconds": seconds}


def main():
    """Write a file of scores per table and seed, where there is none yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--tables", nargs="+", default=tables.names())
    parser.add_argument("--contamination", type=float, default=0.0, help="of the training rows")
    parser.add_argument("--assumed", type=float, default=0.0, help="what the detector is told")
    args = parser.parse_args()
    method = "auto"
    if args.contamination or args.assumed:
        method += f"-{args.contamination:g}-{args.assumed:g}"
    args.scores.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        for name in args.tables:
            path = args.scores / f"{name}.{method}.{seed}.npz"
            if not path.exists():
                arrays = run(name, seed, args.contamination, args.assumed)
                np.savez(path, **arrays)
                print(f"{method} {name} {seed} {arrays['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
