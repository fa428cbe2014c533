"""Seconds and memory that a detector of a table takes by default.

    KERAS_BACKEND=jax python scripts/measure_anomaly_time.py --rows 100000 --columns 30

Fits to rows of dependent columns, scores as many new ones, and prints one line of JSON: seconds on
the clock and of the CPU, and the share of new rows that is called abnormal.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable

import numpy as np

from tfflows.anomaly import AnomalyDetector


def timed(call: Callable) -> tuple[float, float]:
    """Seconds on the clock and of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return round(time.perf_counter() - wall, 1), round(time.process_time() - cpu, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    size, columns = options.rows, options.columns
    mixing = rng.normal(size=(columns, columns)) / np.sqrt(columns)
    x = np.tanh(rng.normal(size=(2 * size, columns)) @ mixing)
    x = (x + 0.1 * rng.normal(size=x.shape)).astype("float32")
    detector = AnomalyDetector()
    fit = timed(lambda: detector.fit(x[:size]))
    score = timed(lambda: detector.score_samples(x[size:]))
    line = {
        "rows": size,
        "columns": columns,
        "fit_seconds": fit[0],
        "fit_cpu_seconds": fit[1],
        "score_seconds": score[0],
        "score_cpu_seconds": score[1],
        "called_abnormal": float((detector.predict(x[size:]) == -1).mean()),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
