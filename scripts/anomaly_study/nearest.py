"""The nearest-row score by itself on the splits of the study, clean and contaminated.

    KERAS_BACKEND=jax python -m scripts.anomaly_study.nearest --scores FOLDER

As in a detector, a fifth of the training rows is left to calibrate. Files `nearest-C-A` have the
scores where a share C of the training rows are anomalies and the score is told a share A.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from scripts.anomaly_study import tables
from tfflows.anomaly import densities
from tfflows.anomaly.nearest import NearestRow
from tfflows.anomaly.table_model import default_table_model

densities.ROW_SIZES = (1, 256, 1024)  # fewer to compile; scores do not depend on it


def run(name, seed, contamination, assumed):
    """Scores of the test rows."""
    split = tables.split(name, seed, contamination=contamination)
    order = np.random.default_rng(seed).permutation(len(split.train))
    rest = split.train[order[len(order) // 5 :]].astype("float32")
    start = time.perf_counter()
    score = NearestRow(default_table_model(rest))  # which the score does not read
    score.see_trained((rest,), assumed)
    test = score.of_inputs((split.test.astype("float32"),))
    return {"test": test, "seconds": time.perf_counter() - start}


def main():
    """Write a file of scores per table and seed, where there is none yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--tables", nargs="+", default=tables.names())
    args = parser.parse_args()
    for contamination, assumed in ((0.0, 0.0), (0.05, 0.05), (0.0, 0.05), (0.05, 0.0)):
        for seed in args.seeds:
            for name in args.tables:
                method = f"nearest-{contamination:g}-{assumed:g}"
                path = args.scores / f"{name}.{method}.{seed}.npz"
                if not path.exists():
                    np.savez(path, **run(name, seed, contamination, assumed))
                    print(method, name, seed, flush=True)


if __name__ == "__main__":
    main()
