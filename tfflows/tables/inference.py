"""Which kind a column is, from what it holds.

The rules keep every row of the data that they saw: a value that they saw is inside the support.

- Text that says numbers is numbers, unless one has a leading zero (02139). Text whose every cell
  fits one format of dates is dates, in the coarsest unit that holds them.
- One value: a category of one. Two: boolean.
- Whole numbers are integers, also as floats. Numbers on another grid are integers with a step (and
  an offset, where whole numbers were standardized), because rounded numbers have no density: up to
  three decimals always, finer grids where 5 % of the cells repeat a value, and at most a million
  steps.
- `low` of an integer is 0 where none is negative. An end is a bound of its own where many rows
  stand on it and none beyond: a cap, or the last level of a scale.
- Other numbers are real; positive where all are above 0, the largest is ten times the smallest,
  and they are skewed; on an interval where they fill [0, 1], or [0, 100] in a column named percent.
  Few different ones with many rows each are ordinal. Values with 2 % of the rows are atoms.
- Other text is a category. Where 1 % of the cells are of values that occur once, `other` is true.
  Text that differs in more than half of the cells is refused.
"""

from collections.abc import Mapping
from typing import Any

from tfflows.tables.columns import (
    Boolean,
    Category,
    Column,
    Datetime,
    Ordinal,
)
from tfflows.tables.kinds import column_from_config, kind_named
from tfflows.tables.number_rules import (
    dense_column,
    grid_column,
    number_column,
    plain,
)
from tfflows.tables.sources import chunks, is_paths
from tfflows.tables.summaries import MAX_TEXTS, ColumnSummary
from tfflows.utils.damage import shortened
from tfflows.utils.suggest import nearest

_MIN_ROWS = 20
_FIRST_ROWS = 4096
# Texts that occur once, of all cells, above which new rows will hold texts that none has seen.
_SHARE_OF_SINGLE = 0.01
# Different numbers above which words among them are a fault and not further categories.
_MAX_CODES = 50
_PAIRS = (
    *(("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on")),
    *(("negative", "positive"), ("neg", "pos"), ("absent", "present"), ("low", "high")),
)


def infer_columns(data: Any, overrides: Mapping[str, Column | str | None]) -> list[Column]:
    """The columns of a table; `Schema.infer` says how.

    Raises:
        ValueError: the table has fewer than two rows, a column has no value at all, mixes numbers
            and text, or is text that hardly repeats; an override names no column.
    """
    given = {name for name, kind in overrides.items() if not isinstance(kind, str)}
    summaries, num_rows = _summarize(chunks(data, numbers=_probable_numbers(data, given)), given)
    if is_paths(data) and any(s.dtype and s.num_text for s in summaries.values()):
        summaries, num_rows = _summarize(chunks(data), given)  # they were not all numbers
    names = tuple(summaries)
    if num_rows < 2:
        raise ValueError(
            f"Expected at least 2 rows to infer a schema from. Received: {num_rows}; "
            "write the schema by its columns"
        )
    for name in overrides:
        if name not in names:
            raise ValueError(
                f"Expected overrides to name columns of the data, {shortened(list(names), 200)}. "
                f"Received: {name!r}{nearest(str(name), names)}"
            )
    _refuse_empty([n for n, s in summaries.items() if n not in given and not s.num_present])
    columns = [
        overrides[name] if name in given else _infer(summaries[name], overrides.get(name))
        for name in names
    ]
    return [column for column in columns if isinstance(column, Column)]


def _summarize(parts, skip):
    """(summaries by name, number of rows) of chunks; those of columns to skip stay empty."""
    summaries: dict[str, ColumnSummary] = {}
    num_rows = 0
    for chunk in parts:
        for name, series in chunk.columns.items():
            dtype = chunk.dtypes[name]
            summary = summaries.setdefault(name, ColumnSummary(name, dtype))
            if name not in skip:
                summary.update(series, chunk.rows, dtype)
        num_rows += len(next(iter(chunk.columns.values()), ()))
    return summaries, num_rows


def _probable_numbers(data, skip):
    """The dtypes of columns of numbers in the first rows of CSV files, which are read faster."""
    first = next(chunks(data, rows=_FIRST_ROWS), None) if is_paths(data) else None
    if first is None:
        return {}
    summaries, _ = _summarize([first], skip)
    dtypes = {name: _number_dtype(s) for name, s in summaries.items() if s.dtype is None}
    return {name: dtype for name, dtype in dtypes.items() if dtype}


def _number_dtype(summary):
    if summary.num_words or summary.has_bools or not summary.numbers.count:
        return None
    return "int64" if summary.numbers.is_integer else "float64"


def _refuse_empty(names):
    if names:
        raise ValueError(
            f"Expected every column to have a value in some row. Received: none in "
            f"{shortened(names, 200)}; leave them out by {override(names[0], 'None')}"
        )


def _infer(summary, kind):
    common: dict[str, Any] = {"missing": summary.num_missing > 0}
    if kind is not None:
        return forced_column(summary, kind, common)
    if summary.levels is not None:
        cls = Ordinal if summary.is_ordered else Category
        return cls(summary.name, summary.levels, dtype="category", **common)
    if summary.dates.has_times:
        if summary.numbers.count or summary.num_text:
            _refuse_mixed(summary, "number" if summary.numbers.count else "word", "a date")
        return Datetime(summary.name, **_times(summary), **common)
    if not summary.num_words:
        if summary.has_bools and not set(summary.numbers.distinct) <= {0, 1}:
            _refuse_mixed(summary, "bool", "a number")
        return _numbers(summary, common)
    if summary.dates.formats and summary.num_words == summary.num_present:
        return Datetime(summary.name, **_dates(summary), **common)
    return _texts(summary, common)


def _numbers(summary, common):
    if summary.has_bools:
        return Boolean(summary.name, dtype=summary.dtype, **common)
    dtype = summary.dtype or ("int64" if summary.numbers.is_integer else "float64")
    return number_column(summary.name, summary.numbers, {"dtype": dtype, **common})


def _times(summary):
    dates = summary.dates
    config = {"unit": dates.unit(), "dtype": summary.dtype}
    if dates.low == dates.high:  # a constant
        config |= {"low": str(dates.low), "high": str(dates.high)}
    return config


def _dates(summary):
    format = summary.dates.formats[0]
    return {
        "unit": summary.dates.unit(format),
        "format": format,
        "dtype": summary.dtype or "str",
    }


def _texts(summary, common):
    """A boolean or category of text, where the text is not free."""
    name, texts = summary.name, summary.texts
    num_numbers = summary.numbers.count
    distinct = summary.numbers.distinct
    if num_numbers > summary.num_text - summary.num_words or (
        num_numbers > summary.num_words and (distinct is None or len(distinct) > _MAX_CODES)
    ):
        _refuse_mixed(summary, "word", "a number")
    common = {"dtype": summary.dtype or "str", **common}
    if texts is None or (len(texts) >= _MIN_ROWS and len(texts) > summary.num_text / 2):
        found = f"more than {MAX_TEXTS:,}" if texts is None else f"{len(texts):,}"
        raise ValueError(
            f"Column {name!r}: expected text that repeats, such as names of categories. "
            f"Received: {found} different texts in {summary.num_text:,} rows, the first in "
            f"{summary.place_of('word')}; leave the column out by {override(name, 'None')}, or "
            f"keep it by {override(name, repr('category'))}"
        )
    if sorted(text.lower() for text in texts) == ["false", "true"] and summary.dtype is None:
        return Boolean(name, dtype="bool", missing=common["missing"])
    if len(texts) == 2 and summary.num_text >= _MIN_ROWS:
        first, second = sorted(texts)
        is_turned = (second.lower(), first.lower()) in _PAIRS
        return Boolean(name, (second, first) if is_turned else (first, second), **common)
    return _category(summary, common)


def _names(summary):
    """All texts, and what numbers among them would be as text."""
    texts = set(summary.texts or ())
    if summary.numbers.count > summary.num_text - summary.num_words:
        distinct = summary.numbers.distinct
        texts |= set() if distinct is None else set(map(str, plain(distinct, summary.numbers)))
    return sorted(texts)


def _category(summary, common):
    once = sum(count == 1 for count in summary.texts.values())
    other = len(summary.texts) > 2 and once >= _SHARE_OF_SINGLE * summary.num_text
    return Category(summary.name, sorted(summary.texts), other, **common)


def forced_column(summary: ColumnSummary, kind: str, common: dict[str, Any]) -> Column:
    """The column of a kind that the user names, from what its cells are.

    Raises:
        ValueError: there is no such kind, or the cells do not fit it.
    """
    cls, name, numbers = kind_named(kind, summary.name), summary.name, summary.numbers
    if kind == "datetime":
        if summary.dates.has_times:
            return Datetime(name, **_times(summary), **common)
        if summary.dates.formats:
            return Datetime(name, **_dates(summary), **common)
        if not summary.num_words and numbers.is_integer and _are_compact_dates(numbers):
            return Datetime(name, "D", "%Y%m%d", dtype=summary.dtype or "int64", **common)
        _refuse_mixed(summary, "word" if summary.num_words else "number", "a date")
    if kind in ("ordinal", "category", "boolean"):
        if summary.num_words or summary.levels is not None:
            dtype = summary.dtype or "str"
            values = summary.levels or _names(summary)
            if kind == "ordinal" and not summary.is_ordered:
                raise ValueError(
                    f"Column {name!r}: expected the order of its levels, by "
                    f"tables.Ordinal({name!r}, {shortened(values)})"
                )
        else:
            dtype = summary.dtype or ("int64" if numbers.is_integer else "float64")
            values = [] if numbers.distinct is None else plain(numbers.distinct, numbers)
        if not values:
            raise ValueError(f"Column {name!r} has too many different values for a {kind}")
        config = {"kind": kind, "name": name, "values": list(values), "dtype": dtype, **common}
        return column_from_config(config)
    if summary.num_words or not numbers.count:
        _refuse_mixed(summary, "word", "a number")
    common["dtype"] = summary.dtype or ("int64" if numbers.is_integer else "float64")
    if kind == "integer":
        column = grid_column(name, numbers, common)
        if column is None:
            raise ValueError(
                f"Column {name!r}: expected whole numbers, or numbers with a common step. "
                f"Received: numbers from {numbers.low} to {numbers.high}"
            )
        return column
    return dense_column(name, numbers, common, cls)


def _are_compact_dates(numbers):
    """Whether whole numbers may be dates such as 20241231."""
    return 1000_01_01 <= numbers.low <= numbers.high <= 9999_12_31


def override(name: str, value: str) -> str:
    """How a user overrides what is inferred of a column."""
    given = f"{name}={value}" if name.isidentifier() else f"**{{{name!r}: {value}}}"
    return f"Schema.infer(data, {given})"


def _refuse_mixed(summary, kind, expected):
    raise ValueError(
        f"Column {summary.name!r}: expected {expected} in every row, as in most. Received: "
        f"{summary.place_of(kind)}; make it missing, or make all cells text and give "
        f"{override(summary.name, repr('category'))}"
    )
