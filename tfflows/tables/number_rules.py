"""Which kind a column of numbers is: the rules are in `inference.py`."""

from typing import Any

import numpy as np

from tfflows.tables.columns import (
    Boolean,
    Category,
    Column,
    Integer,
    Interval,
    Ordinal,
    Positive,
    Real,
)
from tfflows.tables.summaries import Numbers

# An atom has this share of the rows, and at least so many rows.
_ATOM_SHARE, _ATOM_ROWS, _MAX_ATOMS = 0.02, 5, 20
# So many rows are expected beyond an end, if the counts went on, before none is a sign.
_EXPECTED_BEYOND = 10
MAX_STEPS = 1_000_000
_MAX_LEVELS, _ROWS_PER_LEVEL = 50, 10
_MIN_ROWS = 20


def number_column(name: str, numbers: Numbers, common: dict[str, Any]) -> Column:
    """The column of a name, with the keywords `common` of its class."""
    distinct = numbers.distinct
    if distinct is not None and len(distinct) == 1:
        return Category(name, plain(distinct, numbers), **common)
    if distinct is not None and len(distinct) == 2:
        if numbers.count >= _MIN_ROWS or set(distinct) == {0, 1}:
            return Boolean(name, plain(distinct, numbers), **common)
    step = grid_step(numbers)
    if step is not None:
        return Integer(name, *integer_ends(numbers, step), step, **common)
    if distinct is not None and len(distinct) <= _MAX_LEVELS:
        if numbers.count >= _ROWS_PER_LEVEL * len(distinct):
            return Ordinal(name, plain(distinct, numbers), **common)
    return dense_column(name, numbers, common)


def plain(values: np.ndarray, numbers: Numbers) -> tuple:
    """Values as Python's numbers, whole ones as int where all came as integers."""
    return tuple(values.tolist() if numbers.is_integer else map(float, values))


def grid_step(numbers: Numbers) -> float | None:
    """The step of the grid that all numbers stand on: 1, 0.1, 0.01, ..., 1/k; or None."""
    if numbers.decimals == 0:
        return 1
    if numbers.decimals is not None:
        step = float(f"1e-{numbers.decimals}")
        return step if (numbers.high - numbers.low) / step <= MAX_STEPS else None
    distinct = numbers.distinct
    if distinct is None or len(distinct) < 3:
        return None
    smallest = np.diff(distinct).min()
    per_unit = round(1 / smallest) if smallest > 1e-6 else 0
    if per_unit < 2 or numbers.high - numbers.low > MAX_STEPS * smallest:
        return None
    eps = np.finfo(distinct.dtype).eps
    column = Integer("", step=1 / per_unit)
    return column.step if np.all(column.is_on_grid(distinct, float(eps))) else None


def integer_ends(numbers: Numbers, step: float) -> tuple[float | None, float | None]:
    """(low, high) of an integer column, None where it has no bound."""
    ticks = Integer("", step=step).to_ticks(numbers.sample)
    values, counts = np.unique(ticks, return_counts=True)
    low = numbers.low if _is_end(values, counts) else 0 if numbers.low >= 0 else None
    high = numbers.high if _is_end(-values[::-1], counts[::-1]) else None
    return _whole(low, step), _whole(high, step)


def _whole(value, step):
    if value is None:
        return None
    column = Integer("", step=step)
    value = column.from_ticks(column.to_ticks(np.asarray(value, "float64")))
    return int(value) if float(value).is_integer() else float(value)


def _is_end(values, counts):
    """Whether the first value is a bound: so many rows on it that some are expected beyond.

    The count beyond is extrapolated from the last two, which falls as a geometric tail does.
    """
    inner = counts[1] if len(values) > 1 and values[1] == values[0] + 1 else 1
    return counts[0] ** 2 / max(inner, 1) >= _EXPECTED_BEYOND


def dense_column(
    name: str, numbers: Numbers, common: dict[str, Any], cls: type[Column] | None = None
) -> Column:
    """A real, positive or interval column; `cls` where the user names it."""
    values, counts = np.unique(numbers.sample, return_counts=True)
    is_atom = counts >= max(_ATOM_SHARE * counts.sum(), _ATOM_ROWS)
    most = np.argsort(-counts * is_atom, kind="stable")[: min(_MAX_ATOMS, is_atom.sum())]
    atoms = set(values[most].tolist())
    if cls is Interval or cls is None:
        interval = _interval(name, numbers, values, counts, is_forced=cls is Interval)
        if interval is not None:
            ends = {end for end in interval if end in (numbers.low, numbers.high)}
            return Interval(name, *interval, tuple(atoms | ends), **common)
    zero = {0.0} if numbers.num_zero > (cls is None) else set()
    if cls is Positive or (cls is None and (numbers.low > 0 or (numbers.low == 0 and zero))):
        if numbers.low < 0:
            raise ValueError(f"Column {name!r}: expected positive numbers. Received: {numbers.low}")
        rest = (values != 0) & ~np.isin(values, list(atoms))
        if cls is Positive or (rest.any() and _is_skewed(np.repeat(values[rest], counts[rest]))):
            return Positive(name, tuple(atoms | zero), **common)
    return Real(name, tuple(atoms), **common)


def _interval(name, numbers, values, counts, is_forced):
    """(low, high) where the numbers clearly fill a fraction or a percentage, or None."""
    is_percent = any(word in name.lower() for word in ("percent", "pct", "%"))
    for high in (1.0, 100.0):
        is_inside = numbers.low >= 0 and numbers.high <= high
        if is_forced and is_inside:
            return 0.0, high
        is_filled = numbers.low < 0.1 * high and numbers.high > 0.9 * high
        if not is_inside or not is_filled or numbers.count < _MIN_ROWS:
            continue
        # One row on each end is what scaling to the range of the data leaves.
        is_scaled = counts[0] == counts[-1] == 1 and values[0] == 0 and values[-1] == high
        if not is_scaled and (high == 1 or is_percent):
            return 0.0, high
    if is_forced:
        raise ValueError(
            f"Column {name!r}: expected numbers in [0, 1] or [0, 100]. Received: numbers in "
            f"[{numbers.low}, {numbers.high}]; give its ends by tables.Interval({name!r}, low, high)"
        )
    return None


def _is_skewed(x):
    scaled = (x - x.mean()) / max(x.std(), 1e-300)
    return x.max() >= 10 * x.min() and np.mean(scaled**3) > 1
