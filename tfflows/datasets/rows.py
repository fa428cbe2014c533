"""Rows of a dataset, on disk or in memory, and the tf.data stream of them."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

_CHUNK_ELEMENTS = 2**18


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of a dataset, with the conditions of a conditional flow or without.

    Attributes:
        x: `[size, *event_shape]`; what lies on disk is read where it is indexed.
        condition: one-hot labels `[size, num_classes]`, numbers `[size, k]`, or None.
    """

    x: "np.ndarray | RowView"
    condition: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def spread(self, count: int | None) -> "Rows":
        """`count` evenly spread rows; all rows if it is None or not below their number."""
        if count is None or count >= len(self):
            return self
        chosen = np.linspace(0, len(self) - 1, count).astype(int)
        condition = None if self.condition is None else self.condition[chosen]
        return Rows(np.asarray(self.x[chosen]), condition)


class RowView:
    """Some rows, and columns, of an array on disk, read where they are indexed.

    Args:
        array: a memory map `[n, *event]`.
        rows: increasing row numbers `[size]`.
        columns: column numbers of a table; None takes all.
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray, columns: Sequence[int] | None = None):
        self._array, self._rows, self._columns = array, rows, columns
        event = array.shape[1:] if columns is None else (len(columns),)
        self.shape, self.dtype = (len(rows), *event), array.dtype

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """The rows of a slice or an array of row numbers, as an array in memory."""
        if self._columns is None:
            return self._array[self._rows[index]]
        return self._array[self._rows[index][:, None], self._columns]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


def stream_rows(
    x: np.ndarray | RowView,
    labels: np.ndarray | None,
    num_classes: int | None,
    shuffle_seed: int | None = None,
) -> "tf.data.Dataset":
    """Unbatched tf.data.Dataset of x, or of {"x", "condition"} where there are labels or features.

    Chunks of a megabyte are read, the next one ahead of its use; the array is not copied.

    Args:
        x: `[n, *event]`; uint8 images stay so, everything else becomes float32.
        labels: class numbers `[n]`, which become one-hot, features `[n, k]`, or None.
        num_classes: length of a one-hot label.
        shuffle_seed: None keeps the order. A seed visits all rows in another random order at each
            pass, the same orders each time the dataset is made.
    """
    import tensorflow as tf

    dtype = "uint8" if x.dtype == "uint8" and len(x.shape) > 2 else "float32"
    step = max(1, _CHUNK_ELEMENTS // math.prod(x.shape[1:]))
    passes = itertools.count()

    def chunks():
        order = None
        if shuffle_seed is not None:
            order = np.random.default_rng([shuffle_seed, next(passes)]).permutation(len(x))
        for start in range(0, len(x), step):
            rows = slice(start, start + step) if order is None else order[start : start + step]
            part = np.asarray(x[rows], dtype)
            if labels is None:
                yield part
            else:
                yield {"x": part, "condition": as_condition(labels[rows], num_classes)}

    signature = tf.TensorSpec((None, *x.shape[1:]), dtype)
    if labels is not None:
        width = num_classes if labels.ndim == 1 else labels.shape[1]
        condition = tf.TensorSpec((None, width), "float32")
        signature = {"x": signature, "condition": condition}
    dataset = tf.data.Dataset.from_generator(chunks, output_signature=signature)
    dataset = dataset.prefetch(1).unbatch()
    return dataset.apply(tf.data.experimental.assert_cardinality(len(x)))


def as_condition(labels: np.ndarray, num_classes: int | None) -> np.ndarray:
    """float32 `[n, num_classes]`, one-hot, of class numbers `[n]`; or features `[n, k]`."""
    if labels.ndim == 2 or num_classes is None:
        return labels
    rows = np.zeros((len(labels), num_classes), "float32")
    rows[np.arange(len(labels)), labels] = 1
    return rows
