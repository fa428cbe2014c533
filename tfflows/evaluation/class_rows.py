"""Conditions of pictures in which each class has a row."""

from typing import TypeGuard

import numpy as np

MAX_CLASSES = 12  # of a picture that nobody asked the classes of


def each_class(num_classes: int, per_class: int) -> np.ndarray:
    """One-hot conditions `[num_classes * per_class, num_classes]`, one class after the other."""
    return np.repeat(np.eye(num_classes, dtype="float32"), per_class, axis=0)


def are_few_classes(condition: np.ndarray | None) -> TypeGuard[np.ndarray]:
    """Whether conditions `[n, ...]` are one-hot, of 2 to `MAX_CLASSES` classes."""
    if condition is None or np.ndim(condition) != 2:
        return False
    classes = np.shape(condition)[1]
    if not 1 < classes <= MAX_CLASSES:
        return False
    return bool((np.sort(condition, axis=1) == np.eye(1, classes, classes - 1)).all())
