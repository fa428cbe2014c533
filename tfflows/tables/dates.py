"""Dates and times, between text or datetime dtypes and ticks since 1970-01-01."""

from typing import Any

import numpy as np

from tfflows.tables.columns import Datetime
from tfflows.tables.rows import Rows
from tfflows.utils.damage import shortened


def parse_dates(column: Datetime, series: Any, missing: np.ndarray, rows: Rows) -> np.ndarray:
    """Ticks, int64 `[n]`, of dates that are text, datetimes or `date` objects.

    Raises:
        ValueError: a date that does not parse, or is finer than the column's unit; by its row.
    """
    times = to_times(series, column.format)
    wrong = np.isnat(times) & ~missing
    if wrong.any():
        _refuse(column, series, rows, wrong.argmax(), column.format or "ISO 8601")
    ticks = times.astype(f"datetime64[{column.unit}]")
    wrong = (ticks.astype(times.dtype) != times) & ~missing
    if wrong.any():
        _refuse(column, series, rows, wrong.argmax(), f"whole units of {column.unit!r}")
    return np.where(missing, 0, ticks.astype("int64"))


def to_times(series: Any, format: str | None = None) -> np.ndarray:
    """datetime64 `[n]` in UTC, NaT where missing or where it does not parse."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy()
        times = to_times(pd.Series(series.cat.categories), format)
        return np.append(times, np.datetime64("NaT"))[codes]
    if series.dtype.kind != "M":
        if series.dtype.kind in "iuf":  # 20241231
            series = series.astype("Int64").astype("string")
        series = pd.to_datetime(series, format=format or "ISO8601", errors="coerce", utc=True)
    if series.dt.tz is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    times = series.to_numpy()
    if times.dtype == object:  # Arrow's timestamps, before pandas 3
        times = pd.to_datetime(pd.Series(times)).to_numpy()
    return times


def format_ticks(column: Datetime, ticks: np.ndarray) -> np.ndarray:
    """Ticks as text in the column's format, object `[n]`."""
    import pandas as pd

    times = ticks.astype(f"datetime64[{column.unit}]")
    if column.format is None:
        return np.datetime_as_string(times).astype(object)
    distinct, places = np.unique(times, return_inverse=True)
    texts = pd.Series(pd.to_datetime(distinct, utc=True)).dt.strftime(column.format)
    return texts.to_numpy(object)[places]


def _refuse(column, series, rows, row, expected):
    place = rows.place(row, column.name)
    raise ValueError(
        f"{place}: expected a date as {expected}. Received: {shortened(str(series.iloc[row]))}"
    )
