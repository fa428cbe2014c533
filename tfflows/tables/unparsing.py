"""Cells as columns of data again: the same values, dtypes, categories and date formats."""

from typing import Any

import numpy as np

from tfflows.tables.columns import Boolean, Cells, Coded, Column, Datetime, Integer, Ordinal
from tfflows.tables.dates import format_ticks

# What stands for values that the schema does not name.
OTHER = "(other)"


def unparse_column(column: Column, cells: Cells) -> Any:
    """A pandas Series of the column's dtype from its cells."""
    import pandas as pd

    values, missing = np.asarray(cells.values), np.asarray(cells.missing, bool)
    if isinstance(column, Coded):
        return _from_codes(column, values, missing)
    if isinstance(column, Datetime):
        return _from_ticks(column, values, missing)
    if isinstance(column, Integer):
        x = column.from_ticks(values)
        if x.dtype.kind == "i":
            series = pd.Series(pd.array(x, dtype="Int64"))
            series[missing] = pd.NA
            return _cast(series, column.dtype or "int64", missing)
        values = x
    series = pd.Series(np.where(missing, np.nan, values))
    return _cast(series, column.dtype or "float64", missing)


def _from_codes(column, codes, missing):
    import pandas as pd

    names = list(column.values)
    if getattr(column, "other", False):
        names.append(OTHER)
    codes = np.where(missing, -1, codes)
    if column.dtype == "category":
        is_ordered = isinstance(column, Ordinal)
        return pd.Series(pd.Categorical.from_codes(codes, names, ordered=is_ordered))
    names = np.array([*names, None], object)
    series = pd.Series(names[codes], dtype=object)
    if column.dtype is None and isinstance(column, Boolean) and not missing.any():
        return series.infer_objects()
    is_text = all(isinstance(value, str) for value in column.values)
    if np.any(codes == len(column.values)) and not is_text:
        return series  # no dtype of numbers holds "(other)"
    return _cast(series, column.dtype, missing)


def _from_ticks(column, ticks, missing):
    import pandas as pd

    dtype = column.dtype or f"datetime64[{column.unit if column.unit in _PANDAS else 's'}]"
    if not dtype.startswith("datetime64"):
        texts = format_ticks(column, ticks)
        texts[missing] = None
        return _cast(pd.Series(texts, dtype=object), dtype, missing)
    times = ticks.astype(f"datetime64[{column.unit}]")
    times[missing] = np.datetime64("NaT")
    unit = dtype.partition("[")[2].partition("]")[0].partition(",")[0]
    in_unit = times.astype(f"datetime64[{unit}]")
    if np.any((in_unit.astype(times.dtype) != times) & ~missing):
        return pd.Series(times.astype("datetime64[s]"))  # nanoseconds end in the year 2262
    series = pd.Series(in_unit)
    return series.dt.tz_localize("UTC").astype(dtype) if "," in dtype else series


_PANDAS = ("s", "ms", "us", "ns")


def _cast(series, dtype, missing):
    """A Series in a dtype; where that cannot hold missing values, in its nullable one."""
    import pandas as pd

    if dtype is None or dtype == "object":
        return series if dtype is None else series.astype(object)
    if dtype == "str" and pd.Series(["a"]).dtype == object:  # before pandas 3
        return series
    kind = pd.api.types.pandas_dtype(dtype)
    if missing.any():
        nullable = {"i": dtype.capitalize(), "u": f"UI{dtype[2:]}", "b": "boolean"}
        dtype = nullable.get(kind.kind, dtype) if isinstance(kind, np.dtype) else dtype
    if kind.kind in "iu" and series.dtype == "Int64" and not missing.all():
        limits = np.iinfo(f"{kind.kind}{kind.itemsize}")
        if not limits.min <= series.min() <= series.max() <= limits.max:
            return series if missing.any() else series.astype("int64")
    return series.astype(dtype)
