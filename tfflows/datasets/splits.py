"""Which rows of a file or folder are training, validation and test."""

from collections.abc import Mapping

import numpy as np

SPLITS = ("train", "validation", "test", "all")


def split_rows(
    name: str, size: int, split: str, fractions: Mapping[str, float], seed: int
) -> np.ndarray:
    """Increasing positions of a split's rows, of a seeded permutation; all of them for "all".

    Args:
        name: of the data, for messages.
        size: number of rows.
        split: one of `SPLITS`.
        fractions: of the rows that each split but "train" has, by its name.
        seed: of the permutation.

    Raises:
        ValueError: fractions that cannot be, or a split without rows.
    """
    for key, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise ValueError(
                f"{name}: {key} must be a fraction of the rows. Received: {fraction!r}"
            )
    if sum(fractions.values()) >= 1:
        raise ValueError(f"{name}: fractions must sum to less than 1. Received: {dict(fractions)}")
    if seed < 0:
        raise ValueError(f"{name}: seed must not be negative. Received: {seed}")
    if split == "all":
        return np.arange(size)
    order = np.random.default_rng(seed).permutation(size)
    start, parts = 0, {}
    for key, fraction in fractions.items():
        parts[key] = order[start : start + int(fraction * size)]
        start += len(parts[key])
    rows = np.sort(parts.get(split, order[start:]))
    if not len(rows):
        raise ValueError(
            f"{name} has {size} rows, and none for {split}. Received: {dict(fractions)}"
        )
    return rows
