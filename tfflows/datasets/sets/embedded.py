"""Datasets that need no file: scikit-learn's digits and the two-dimensional toys."""

import numpy as np

from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.sets.toys import GENERATORS, sample_toy

SPLITS = ("train", "validation", "test")
NAMES = ("digits", *GENERATORS)

_TOY_ROWS = {"train": 100_000, "validation": 10_000, "test": 50_000}
# Far from the small seeds that people give to sample_toy, so that no test point is trained on.
_TOY_SEED = 2**40


def load_embedded(
    name: str, split: str, data_dir: str | None = None, train_rows: int | None = None
) -> tuple[np.ndarray, np.ndarray | None, DatasetInfo]:
    """x `[size, *event_shape]`, labels `[size]` or None, and the description; no file is read.

    Args:
        name: one of `NAMES`.
        split: one of `SPLITS`.
        data_dir: ignored.
        train_rows: number of points to train a toy on; as many as a training draws never shows it
            the same point twice.
    """
    if split not in SPLITS:
        raise ValueError(f"{name} has the splits {list(SPLITS)}. Received: {split!r}")
    if name == "digits":
        if train_rows is not None:
            raise ValueError(f"digits has 1437 rows to train on. Received: train_rows={train_rows}")
        return _digits(split)
    size = _TOY_ROWS[split]
    if train_rows is not None and split == "train":
        if not isinstance(train_rows, int) or train_rows < 1:
            raise ValueError(f"train_rows must be a positive integer. Received: {train_rows!r}")
        size = train_rows
    x = sample_toy(name, size, _TOY_SEED + SPLITS.index(split))
    source = "drawn from FFJORD's generator (Grathwohl et al. 2019)"
    return x, None, DatasetInfo(name, split, (2,), None, None, len(x), source)


def _digits(split):
    """8x8 digits with 17 grey levels: 1,437 / 180 / 180 rows of a seeded permutation."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.images))
    rows = np.split(order, [1437, 1617])[SPLITS.index(split)]
    x = bunch.images[rows].astype("uint8")[..., None]
    source = "scikit-learn load_digits (UCI optical recognition of handwritten digits)"
    return x, bunch.target[rows], DatasetInfo("digits", split, (8, 8, 1), 17, 10, len(x), source)
