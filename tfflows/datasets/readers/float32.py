"""Columns whose values float32, in which flows compute, cannot tell apart."""

from collections.abc import Sequence

import numpy as np

# Some rows of every batch are looked at: sorting all of them would cost as much as reading.
_COMPARED_ROWS = 1024
_COMPARED_ELEMENTS = 2**15
# Values that differ by less are equal but for the rounding of float64.
_ROUNDING = 1e-14


def merged_columns(x: np.ndarray) -> list[tuple[int, int, int]]:
    """Columns of x `[n, d]` of whose different values float32 keeps at most half.

    Seconds since 1970 are such: near 1.7e9 the numbers of float32 are 128 apart.

    Returns:
        (column, different values, those that float32 keeps) of some first rows.
    """
    if x.dtype.kind == "b" or x.dtype.itemsize < 4 or x.dtype == "float32":
        return []  # float32 holds them all
    rows = _rows(x)
    exact = np.sort(np.asarray(x[:rows].T, "float64", "C"), axis=1)  # 3 times as fast as axis 0
    with np.errstate(over="ignore"):  # refused elsewhere
        kept = exact.astype("float32")  # in order still, because rounding is monotone
    exact_counts = 1 + (np.diff(exact) > _ROUNDING * np.abs(exact[:, 1:])).sum(axis=1)
    kept_counts = 1 + (np.diff(kept) > 0).sum(axis=1)
    merged = np.flatnonzero(2 * kept_counts <= exact_counts).tolist()
    return [(i, int(exact_counts[i]), int(kept_counts[i])) for i in merged]


def refuse_merged(table, columns: Sequence[int], x: np.ndarray) -> int:
    """ValueError that names the `merged_columns` of rows; otherwise how many rows it compared.

    Args:
        table: where the rows come from, for the message.
        columns: places of the columns of x.
        x: `[n, len(columns)]`, as read.
    """
    merged = merged_columns(x)
    if not merged:
        return _rows(x)
    shown = ", ".join(
        f"{table.names[columns[i]]!r} ({exact:,} different values in {_rows(x):,} rows, of which "
        f"float32 keeps {kept:,})"
        for i, exact, kept in merged[:20]
    )
    raise ValueError(
        f"{table.path} has columns whose values float32 cannot tell apart: {shown}. Subtract a "
        "constant from them or rescale them, or leave them out by exclude="
    )


def _rows(x):
    return min(len(x), _COMPARED_ROWS, max(2, _COMPARED_ELEMENTS // x.shape[1]))
