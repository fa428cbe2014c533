"""Detectors of PyOD on the splits of the study.

    python -m scripts.anomaly_study.baselines --scores FOLDER --methods knn-robust

Runs where PyOD is (DeepSVDD needs PyTorch as well); of this project it needs `tables.py` only.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from scripts.anomaly_study import tables

# Scales matter where distances do; the others do not see them, or standardize by themselves.
METHODS = [
    "ecod",
    "pca",
    "iforest",
    "knn-robust",
    "knn-standard",
    "lof-robust",
    "lof-standard",
    "deepsvdd-robust",
    "deepsvdd-standard",
]


def make(method, train, seed):
    """A detector with PyOD's own defaults.

    PCA divides by variances, and gives all rows the score inf where one is zero: it gets as many
    components as the rows have.
    """
    if method == "ecod":
        from pyod.models.ecod import ECOD

        return ECOD()
    if method == "pca":
        from pyod.models.pca import PCA

        singular = np.linalg.svd(train - train.mean(axis=0), compute_uv=False)
        return PCA(int((singular > 1e-6 * singular[0]).sum()), random_state=seed)
    if method == "iforest":
        from pyod.models.iforest import IForest

        return IForest(random_state=seed)
    if method == "knn":
        from pyod.models.knn import KNN

        return KNN()
    if method == "lof":
        from pyod.models.lof import LOF

        return LOF()
    from pyod.models.deep_svdd import DeepSVDD

    return DeepSVDD(n_features=train.shape[1], random_state=seed, verbose=0)


def run(method, name, seed):
    """Scores of the training and the test rows, and seconds."""
    split = tables.split(name, seed)
    kind, _, scale = method.partition("-")
    train, test = tables.scaled(split.train, split.test, scale or "standard")
    start = time.perf_counter()
    detector = make(kind, train, seed)
    detector.fit(train)
    scores = detector.decision_function(test)
    return np.asarray(detector.decision_scores_), scores, time.perf_counter() - start


def main():
    """Write a file of scores per table and seed, where there is none yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--tables", nargs="+", default=tables.names())
    args = parser.parse_args()
    args.scores.mkdir(parents=True, exist_ok=True)
    for method in args.methods:
        for seed in args.seeds:
            for name in args.tables:
                path = args.scores / f"{name}.{method}.{seed}.npz"
                if path.exists():
                    continue
                train, test, seconds = run(method, name, seed)
                np.savez(path, train=train, test=test, seconds=seconds)
                print(f"{method} {name} {seed} {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
