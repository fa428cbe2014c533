"""Conditions on rows as text: sex=Female, age:30..40."""

import dataclasses
import datetime
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfflows.tables.columns import Cells, Column, Datetime, Dense, Integer, Ordinal
from tfflows.tables.csv_files import MISSING_MARKS
from tfflows.tables.parsing import parse_column
from tfflows.tables.rows import Rows
from tfflows.tables.schema import Schema
from tfflows.utils.suggest import nearest

_FORM = "COLUMN=VALUE or COLUMN:LOW..HIGH"


@dataclasses.dataclass(frozen=True)
class Range:
    """Values of a column from `low` to `high`, both included.

    Attributes:
        column: of numbers, dates or ordered levels.
        low, high: in the units of `Cells.values`; infinite where the range is open.
    """

    column: Column
    low: float
    high: float

    def holds(self, cells: Cells) -> np.ndarray:
        """Whether each cell is in the range, bool `[n]`; a missing one is not."""
        return (cells.values >= self.low) & (cells.values <= self.high) & ~cells.missing


class Conditions(NamedTuple):
    """What rows must satisfy.

    Attributes:
        given: cells `[1]` of columns with one value.
        ranges: of other columns, by their names.
    """

    given: dict[str, Cells]
    ranges: dict[str, Range]


@dataclasses.dataclass(frozen=True)
class _Text(Rows):
    """A condition, as the place that errors name."""

    text: str = ""

    def place(self, row: int, column: str) -> str:
        return self.text


def parse_conditions(schema: Schema, texts: Sequence[str]) -> Conditions:
    """Conditions from text.

    COLUMN=VALUE is one value, which may be empty for a missing cell. COLUMN:LOW..HIGH is a range of
    a number, a date or an ordered level, with both ends; one of them may be left out.

    Raises:
        ValueError: text of another form, no such column (the nearest is named), two conditions on
            one column, or a value or range outside the column's support.

    Example:
        >>> schema = Schema([Integer("age", low=0), Integer("hours", low=0)])
        >>> conditions = parse_conditions(schema, ["age:30..40", "hours=38"])
        >>> conditions.ranges["age"].high, conditions.given["hours"].values
        (40, array([38]))
    """
    conditions = Conditions({}, {})
    for text in texts:
        name, sign, value = _split(schema, text)
        if name in conditions.given or name in conditions.ranges:
            raise ValueError(f"Expected one condition on column {name!r}. Received: {text!r} too")
        if sign == "=":
            conditions.given[name] = _cells(schema[name], value, text)
        else:
            conditions.ranges[name] = _range(schema[name], value, text)
    return conditions


def _split(schema, text):
    """(column, sign, value): names may hold signs themselves, so that the longest is taken."""
    for name in sorted(schema.names, key=len, reverse=True):
        if text.startswith(name) and text[len(name) :][:1] in ("=", ":"):
            return name, text[len(name)], text[len(name) + 1 :].strip()
    end = min((text.find(sign) for sign in "=:" if sign in text), default=-1)
    if end < 0:
        raise ValueError(f"Expected {_FORM}. Received: {text!r}")
    raise ValueError(
        f"Expected {text!r} to begin with the name of a column, {_shown(schema.names)}. "
        f"Received: {text[:end]!r}{nearest(text[:end], schema.names)}"
    )


def _shown(names):
    return ", ".join(names[:10]) + (f" and {len(names) - 10:,} others" if len(names) > 10 else "")


def _cells(column, value, text):
    import pandas as pd

    is_missing = value in MISSING_MARKS and value not in getattr(column, "values", ())
    cell = pd.Series([None if is_missing else value], dtype=object)
    return parse_column(column, cell, _Text(text=text))


def _range(column, value, text):
    ends = [end.strip() for end in value.split("..")]
    if len(ends) != 2 or not any(ends):
        raise ValueError(f"Expected {_FORM}, with at least one end. Received: {text!r}")
    if not isinstance(column, Ordinal) and hasattr(column, "values"):
        raise ValueError(
            f"{text}: expected {column.name}=VALUE, because a {column.kind} has no order. "
            f"Received: a range"
        )
    try:
        low = -math.inf if not ends[0] else _low(column, ends[0])
        high = math.inf if not ends[1] else _high(column, ends[1])
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from error
    if low > high:
        raise ValueError(f"{text}: expected a range from low to high. Received: no value in it")
    if not _has_probability(column, low, high):
        raise ValueError(
            f"{text}: expected a range that the {column.kind} column can reach. "
            f"Received: only values without a probability"
        )
    return Range(column, low, high)


def _has_probability(column, low, high):
    """Whether the support allows the range to have a probability."""
    least, most = getattr(column, "bounds", (0, len(getattr(column, "values", ())) - 1))
    least, most = -math.inf if least is None else least, math.inf if most is None else most
    if isinstance(column, Dense):  # whose single values have none, except atoms
        is_open = low < high and low < most and high > least
        return is_open or any(low <= atom <= high for atom in column.atoms)
    return low <= most and high >= least


def _low(column, text) -> float:
    if isinstance(column, Integer):
        return math.ceil((_number(text) - column.offset) / column.step - 1e-9)
    if isinstance(column, Datetime):
        start, _ = _instant(column, text)
        tick = start.astype(f"datetime64[{column.unit}]")
        return int(tick.astype("int64")) + bool(tick < start)
    return _level(column, text) if isinstance(column, Ordinal) else _number(text)


def _high(column, text) -> float:
    if isinstance(column, Integer):
        return math.floor((_number(text) - column.offset) / column.step + 1e-9)
    if isinstance(column, Datetime):
        _, end = _instant(column, text)
        tick = end.astype(f"datetime64[{column.unit}]")
        return int(tick.astype("int64")) - bool(tick == end)
    return _level(column, text) if isinstance(column, Ordinal) else _number(text)


def _number(text):
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected a number. Received: {text!r}")
    return number


def _level(column, text):
    code = column.code_of(text)
    if code < 0:
        raise ValueError(
            f"expected one of the levels {_shown(list(map(str, column.values)))}. "
            f"Received: {text!r}{nearest(text, map(str, column.values))}"
        )
    return code


def _instant(column, text) -> tuple[Any, Any]:
    """When a date begins, and when the next one does: 2024-03 is a month."""
    if column.format is not None:
        try:
            start = np.datetime64(datetime.datetime.strptime(text, column.format), column.unit)
            return start, start + 1
        except ValueError:
            pass  # it may be ISO 8601
    try:
        start = np.datetime64(text)
    except ValueError:
        start = np.datetime64("NaT")
    if np.isnat(start):
        also = f"{column.format} or " if column.format else ""
        raise ValueError(f"expected a date as {also}ISO 8601. Received: {text!r}")
    return start, start + 1
