"""Columns that have no density: whole numbers, categories, and values that many rows share."""

import warnings
from collections.abc import Sequence

import numpy as np

_MAX_ELEMENTS = 2**17
_MAX_ROWS = 4096
# From here on few different values are no accident.
_MIN_ROWS = 200
_FEW_VALUES = 20
_COMMON_SHARE = 0.05


class ColumnSample:
    """Evenly spread rows of a table that is read once and whose length is not known before.

    Every 2**k-th row is kept, with k such that `rows` are at most 4,096, and fewer of wide tables.

    Args:
        width: number of columns.
    """

    def __init__(self, width: int):
        self._limit = min(_MAX_ROWS, max(2 * _MIN_ROWS, _MAX_ELEMENTS // width))
        self._step, self._seen, self._parts = 1, 0, []

    def add(self, x: np.ndarray) -> None:
        """Take the next rows `[n, width]`."""
        first = -self._seen % self._step
        self._seen += len(x)
        self._parts.append(x[first :: self._step].copy())
        while sum(map(len, self._parts)) > self._limit:
            self._parts = [np.concatenate(self._parts)[::2]]
            self._step *= 2

    @property
    def rows(self) -> np.ndarray:
        """The rows that were kept."""
        return np.concatenate(self._parts)


_CURE = (
    "Columns of whole numbers: dequantize=[...] adds noise from [0, 1). Others: exclude=[...], "
    "label= or condition=[...]"
)


def warn_of_discrete(source, names: Sequence[str], sample: ColumnSample, cure: str = _CURE) -> None:
    """A UserWarning that names each column whose values are few, whole or repeated.

    The likelihood of such a column as real numbers grows without bound in training.

    Args:
        source: the file, for the message.
        names: of the columns of the sample.
        sample: of the rows.
        cure: what to do, for the message.
    """
    found = describe_discrete(names, sample.rows)
    if found:
        more = f", and {len(found) - 20} more" if len(found) > 20 else ""
        warnings.warn(
            f"{source} has columns without a density, whose likelihood grows without bound: "
            f"{'; '.join(found[:20])}{more}. {cure}",
            stacklevel=2,
        )


def describe_discrete(names: Sequence[str], x: np.ndarray) -> list[str]:
    """A few words about each column of `x` `[n, len(names)]` that has no density.

    Those are columns of at most 20 different values, of whole numbers with as many rows or more
    that repeat one as there are different ones, and with a value that 5% of the rows share, if n
    is at least 200.
    """
    if len(x) < _MIN_ROWS:
        return []
    ordered = np.sort(np.ascontiguousarray(x.T))  # 3 times as fast as along axis 0
    counts = 1 + (np.diff(ordered) != 0).sum(axis=1)
    is_whole = (np.floor(ordered) == ordered).all(axis=1)
    found = []
    for i in np.flatnonzero(2 * counts <= len(x)).tolist():
        if counts[i] <= _FEW_VALUES or is_whole[i]:
            kind = "whole numbers" if is_whole[i] else "numbers"
            found.append(f"{names[i]!r} has {counts[i]:,} different {kind} in {len(x):,} rows")
    is_named = (2 * counts <= len(x)) & ((counts <= _FEW_VALUES) | is_whole)
    lag = int(_COMMON_SHARE * len(x))
    is_common = (ordered[:, lag:] == ordered[:, :-lag]).any(axis=1)
    for i in np.flatnonzero(is_common & ~is_named).tolist():
        values, repeats = np.unique(ordered[i], return_counts=True)
        share = repeats.max() / len(x)
        found.append(f"{names[i]!r} is {values[repeats.argmax()]:g} in {share:.0%} of the rows")
    return found
