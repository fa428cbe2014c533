"""How strongly pairs of columns hang together, whatever their kinds."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfflows.tables.columns import Boolean, Category, Cells, Column


def is_unordered(column: Column) -> bool:
    """Whether the values of a column have no order, so that they are names and not numbers."""
    return isinstance(column, Category | Boolean)


def associations(columns: Sequence[Column], cells: Mapping[str, Cells]) -> np.ndarray:
    """A measure of dependence for each pair of columns, float64 `[D, D]`.

    Two numbers, dates or ordered levels have Pearson's correlation, from -1 to 1. Two categories
    have Cramer's V, from 0 to 1, without the bias that many categories give it (Bergsma 2013, "A
    bias-correction for Cramer's V and Tschuprow's T"). A category and a number have the
    correlation ratio eta, from 0 to 1: the square root of the share of the number's variance that
    lies between the categories. "Missing" is a category of its own; of numbers, rows where one is
    missing are left out. Constant columns have 0, and the diagonal is 1.

    Args:
        columns: of the pairs.
        cells: of these columns, as `Schema.parse` gives them.

    Example:
        >>> schema = Schema([Real("x"), Real("y")])
        >>> associations(schema.columns, schema.parse({"x": [1, 2, 3], "y": [3, 2, 1]}))[0, 1]
        -1.0
    """
    parts = [_prepared(column, cells[column.name]) for column in columns]
    result = np.eye(len(parts))
    for i, first in enumerate(parts):
        for j in range(i):
            result[i, j] = result[j, i] = _association(first, parts[j])
    return result


def _prepared(column, cells):
    """(whether it is a category, values): codes from 0 without gaps, or numbers with NaN."""
    if is_unordered(column):
        codes = np.where(cells.missing, -1, cells.values)
        return True, np.unique(codes, return_inverse=True)[1]
    return False, np.where(cells.missing, np.nan, cells.values.astype("float64"))


def _association(first, second):
    (first_is_category, a), (second_is_category, b) = first, second
    if first_is_category and second_is_category:
        return cramers_v(a, b)
    if first_is_category:
        return correlation_ratio(a, b)
    if second_is_category:
        return correlation_ratio(b, a)
    return pearson(a, b)


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two columns of numbers, in rows where neither is NaN."""
    seen = ~(np.isnan(a) | np.isnan(b))
    if not seen.any():
        return 0.0
    a, b = a[seen] - a[seen].mean(), b[seen] - b[seen].mean()
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def cramers_v(a: np.ndarray, b: np.ndarray) -> float:
    """Cramer's V of codes `[n]` from 0 without gaps, corrected for its bias."""
    rows, sizes = len(a), (int(a.max()) + 1, int(b.max()) + 1)
    if min(sizes) < 2 or rows < 2:
        return 0.0
    table = np.bincount(a * sizes[1] + b, minlength=sizes[0] * sizes[1]).reshape(sizes)
    expected = np.outer(table.sum(1), table.sum(0)) / rows
    phi = ((table - expected) ** 2 / expected).sum() / rows
    degrees = [size - 1 for size in sizes]
    phi = max(0.0, phi - degrees[0] * degrees[1] / (rows - 1))
    least = min(size - degree**2 / (rows - 1) for size, degree in zip(sizes, degrees, strict=True))
    return float(min(1.0, np.sqrt(phi / (least - 1)))) if least > 1 else 0.0


def correlation_ratio(codes: np.ndarray, x: np.ndarray) -> float:
    """eta of numbers `[n]` between codes `[n]`, in rows where the number is not NaN."""
    seen = ~np.isnan(x)
    if not seen.any():
        return 0.0
    codes, x = codes[seen], x[seen] - x[seen].mean()
    counts = np.bincount(codes)
    sums = np.bincount(codes, x)
    between = (sums[counts > 0] ** 2 / counts[counts > 0]).sum()
    total = (x**2).sum()
    return float(np.sqrt(min(1.0, between / total))) if total > 0 else 0.0
