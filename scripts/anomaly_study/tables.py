"""The tables of ADBench and their one-class splits, the same for all methods; NumPy only.

S. Han et al. 2022, "ADBench: anomaly detection benchmark", https://arxiv.org/abs/2206.09426.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("ADBENCH", REPOSITORY.parent / "shared" / "data" / "adbench"))
MAX_TRAIN = 5_000  # normal rows
MAX_TEST = 10_000  # normal rows, and as many anomalies


class Split(NamedTuple):
    """Normal rows to train on, rows to test, which of these are anomalies, and their weights.

    The weights undo the caps: with them the test rows have the share of anomalies that all of them
    have, which average precision depends on.
    """

    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def names(folder: Path = FOLDER) -> list[str]:
    """All tables, in alphabetical order."""
    return sorted((path.stem.split("_", 1)[1] for path in folder.glob("*.npz")), key=str.lower)


def design_names(folder: Path = FOLDER) -> list[str]:
    """Every other table: what the default was chosen on."""
    return names(folder)[::2]


def load(name: str, folder: Path = FOLDER) -> tuple[np.ndarray, np.ndarray]:
    """Rows float64 `[n, columns]` and labels `[n]`, 1 where anomalous."""
    (path,) = folder.glob(f"*_{name}.npz")
    with np.load(path) as arrays:
        return arrays["X"].astype("float64"), arrays["y"].astype(int).ravel()


def split(name: str, seed: int, folder: Path = FOLDER, contamination: float = 0.0) -> Split:
    """Train on a random half of the normal rows; test on the other half and all anomalies.

    Args:
        name: of a table.
        seed: of the half, and of the rows that the caps leave.
        folder: where the tables are.
        contamination: share of the training rows that are anomalies, which then are not tested.
    """
    x, y = load(name, folder)
    rng = np.random.default_rng(seed)
    normal, abnormal = (rng.permutation(np.flatnonzero(y == label)) for label in (0, 1))
    half = len(normal) // 2
    train, held_out = normal[:half][:MAX_TRAIN], normal[half:]
    if contamination:
        count = min(round(contamination * len(train) / (1 - contamination)), len(abnormal) // 2)
        train, abnormal = np.concatenate([train, abnormal[:count]]), abnormal[count:]
    tested = held_out[:MAX_TEST], abnormal[:MAX_TEST]
    shares = len(held_out) / len(tested[0]), len(abnormal) / len(tested[1])
    rows = np.concatenate(tested)
    return Split(x[train], x[rows], y[rows], np.where(y[rows] == 1, shares[1], shares[0]))


def scaled(train: np.ndarray, test: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Both, by the "robust" (median, quartiles) or "standard" scale of the training rows."""
    if kind == "robust":
        low, center, high = np.quantile(train, [0.25, 0.5, 0.75], axis=0)
        scale = high - low
    else:
        center, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    return (train - center) / scale, (test - center) / scale
