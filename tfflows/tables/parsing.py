"""Columns as they stand in data, made cells: every cell is checked against its column."""

from typing import Any

import numpy as np

from tfflows.tables.columns import Cells, Coded, Column, Datetime, Dense, Integer
from tfflows.tables.dates import parse_dates
from tfflows.tables.rows import Rows
from tfflows.utils.damage import shortened
from tfflows.utils.suggest import nearest

# Above this many values the nearest one is not looked for.
_SUGGESTED_AMONG = 10_000


def parse_column(
    column: Column, series: Any, rows: Rows | None = None, allow_missing: bool = False
) -> Cells:
    """The cells of one column.

    Args:
        column: what the cells may be.
        series: a pandas Series of any dtype, `[n]`. Text counts as what it says.
        rows: where the rows come from.
        allow_missing: whether cells may be missing although the column does not say so.

    Raises:
        ValueError: the first cell outside the column's support, by its row.
    """
    rows = rows or Rows()
    missing = series.isna().to_numpy(bool)
    if missing.any() and not (allow_missing or column.missing):
        place = rows.place(missing.argmax(), column.name)
        raise ValueError(
            f"{place}: expected a value. Received: a missing cell; `missing: true` in the "
            f"schema allows them"
        )
    if isinstance(column, Coded):
        values = _codes(column, series, missing, rows)
    elif isinstance(column, Datetime):
        values = parse_dates(column, series, missing, rows)
        _check_bounds(column, values, missing, series, rows)
    elif isinstance(column, Integer):
        values = _ticks(column, series, missing, rows)
        _check_bounds(column, values, missing, series, rows)
    else:
        values = _numbers(column, series, missing, rows)
        _check_support(column, values, missing, rows)
    return Cells(np.where(missing, values.dtype.type(0), values), missing)


def csv_dtype(column: Dense | Integer) -> str:
    """What the numbers of a column probably are in a CSV file: "int64" or "float64"."""
    is_whole = isinstance(column, Integer) and column.grid == "a whole number"
    return "int64" if is_whole and "float" not in (column.dtype or "") else "float64"


def _numbers(column, series, missing, rows):
    """float64 `[n]`, all finite where not missing."""
    import pandas as pd

    categories, codes = _distinct(series)
    x = pd.to_numeric(categories, errors="coerce")
    x = np.asarray(x.to_numpy("float64", na_value=np.nan) if hasattr(x, "to_numpy") else x)
    x = x.astype("float64")
    if codes is not None:
        x = np.append(x, np.nan)[codes]
    wrong = ~np.isfinite(x) & ~missing
    if wrong.any():
        row = wrong.argmax()
        expected = "a finite number" if np.isinf(x[row]) else "a number"
        _refuse(column, series, row, rows, expected)
    return x


def _ticks(column, series, missing, rows):
    if series.dtype.kind in "iu" and (column.step, column.offset) == (1, 0):
        if series.dtype.kind == "u" and len(series) and series.max() >= 2**63:
            _refuse(column, series, series.argmax(), rows, "a whole number below 2**63")
        return series.to_numpy("int64", na_value=0)
    x = _numbers(column, series, missing, rows)
    x = np.where(missing, 0.0, x)
    ticks = column.to_ticks(x)
    eps = np.finfo("float32").eps if series.dtype == "float32" else np.finfo("float64").eps
    wrong = (~column.is_on_grid(x, eps) | (np.abs(ticks) >= 2.0**63)) & ~missing
    if wrong.any():
        _refuse(column, series, wrong.argmax(), rows, column.grid)
    return ticks.astype("int64")


def _check_bounds(column, ticks, missing, series, rows):
    low, high = column.bounds
    wrong = np.zeros(len(ticks), bool)
    if low is not None:
        wrong |= ticks < low
    if high is not None:
        wrong |= ticks > high
    wrong &= ~missing
    if wrong.any():
        if low is None or high is None:
            limit = f"at least {column.low}" if high is None else f"at most {column.high}"
        else:
            limit = f"in [{column.low}, {column.high}]"
        _refuse(column, series, wrong.argmax(), rows, f"a value {limit}")


def _check_support(column, x, missing, rows):
    low, high = column.bounds
    wrong = ~((low < x) & (x < high)) & ~missing
    if column.atoms and wrong.any():
        wrong &= ~np.isin(x, column.atoms)
    if wrong.any():
        support = f"in ({low:g}, {high:g})" if np.isfinite(high) else f"above {low:g}"
        if column.atoms:
            support += f", or one of {shortened(list(column.atoms))}"
        row = wrong.argmax()
        place = rows.place(row, column.name)
        raise ValueError(f"{place}: expected a number {support}. Received: {x[row]:g}")


def _codes(column, series, missing, rows):
    categories, codes = _distinct(series, always=True)
    table = np.array([column.code_of(value) for value in categories], "int64")
    values = np.append(table, 0)[codes]
    wrong = (values < 0) & ~missing
    if wrong.any():
        row = wrong.argmax()
        value, place = series.iloc[row], rows.place(row, column.name)
        few = column.values if len(column.values) <= _SUGGESTED_AMONG else ()
        hint = nearest(str(value), map(str, few))
        if column.kind == "category":
            hint += "; `other: true` in the schema gives unseen values a mass"
        raise ValueError(
            f"{place}: expected one of the {len(column.values):,} values of the {column.kind}, "
            f"{shortened(list(column.values), 100)}. Received: {shortened(value)}{hint}"
        )
    return values


def _distinct(series, always=False):
    """(values, codes) where a column repeats its values, -1 for missing; (series, None) else."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.categories, series.cat.codes.to_numpy()
    if always or series.dtype == object:
        codes, categories = pd.factorize(series)
        return categories, codes
    return series, None


def _refuse(column, series, row, rows, expected):
    place = rows.place(row, column.name)
    value = series.iloc[row]
    value = value.item() if hasattr(value, "item") else value
    raise ValueError(f"{place}: expected {expected}. Received: {shortened(value)}")
