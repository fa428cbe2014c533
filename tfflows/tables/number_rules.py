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
from tfflows.tables.kinds import dense_dtype
from tfflows.tables.summaries import ULPS_PER_STEP, Numbers

# An atom has this share of the rows, and at least so many rows.
_ATOM_SHARE, _ATOM_ROWS, _MAX_ATOMS = 0.02, 5, 20
# So many rows are expected beyond an end, if the counts went on, before none is a sign.
_EXPECTED_BEYOND = 10
MAX_STEPS = 1_000_000
_MAX_LEVELS, _ROWS_PER_LEVEL = 50, 10
_MIN_ROWS = 20
# People write so many decimals; more of them are rounded numbers where enough values repeat.
_MAX_DECIMALS_BY_HAND, _REPEATED_SHARE = 3, 0.05


def number_column(name: str, numbers: Numbers, common: dict[str, Any]) -> Column:
    """The column of a name, with the keywords `common` of its class."""
    distinct = numbers.distinct
    num_levels = np.inf if distinct is None else len(distinct)
    is_repeated = numbers.count >= _ROWS_PER_LEVEL * num_levels
    if distinct is not None and num_levels == 1:
        return Category(name, plain(distinct, numbers), **common)
    is_two_valued = numbers.count >= _MIN_ROWS or (num_levels == 2 and numbers.high == 1)
    if distinct is not None and num_levels == 2 and is_two_valued:
        return Boolean(name, plain(distinct, numbers), **common)
    grid = grid_column(name, numbers, common)
    is_fine = grid is None or (numbers.high - numbers.low) / grid.step > 100 * num_levels
    is_few = num_levels <= _MAX_LEVELS and is_repeated and is_fine and not _are_whole(numbers)
    if distinct is not None and is_few:
        return Ordinal(name, plain(distinct, numbers), **common)
    return grid or dense_column(name, numbers, common)


def plain(values: np.ndarray, numbers: Numbers) -> tuple:
    """Values as Python's numbers, whole ones as int where all came as integers."""
    return tuple(values.tolist() if numbers.is_integer else map(float, values))


def grid_column(name: str, numbers: Numbers, common: dict[str, Any]) -> Integer | None:
    """The integer column of the grid that all numbers are on, None where there is none."""
    step, offset = _grid(numbers)
    if step is None or numbers.high >= 2.0**63:
        return None
    column = Integer(name, step=step, offset=offset)
    ticks = column.to_ticks(numbers.sample)
    num_repeated = len(ticks) - len(np.unique(ticks))
    is_by_hand = _are_whole(numbers) or (numbers.decimals or 9) <= _MAX_DECIMALS_BY_HAND
    if not is_by_hand and num_repeated < _REPEATED_SHARE * len(ticks):
        return None
    low, high = _ends(ticks)
    low = numbers.low if low else 0 if numbers.low >= 0 and not offset else None
    low, high = _on_grid(column, low), _on_grid(column, numbers.high if high else None)
    return Integer(name, low, high, step, offset, **common)


def _are_whole(numbers):
    return numbers.decimals == 0


def _grid(numbers):
    """(step, offset) of the coarsest grid that all numbers are on, or (None, 0)."""
    if _are_whole(numbers):
        return 1, 0
    if numbers.decimals is not None:
        step = float(f"1e-{numbers.decimals}")
        return (step if numbers.high - numbers.low <= MAX_STEPS * step else None), 0
    distinct = numbers.distinct
    if distinct is None or len(distinct) < 3:
        return None, 0
    low, width = float(distinct[0]), float(distinct[-1]) - float(distinct[0])
    smallest = np.diff(distinct.astype("float64")).min()
    if not smallest * MAX_STEPS >= width or np.isinf(width):
        return None, 0
    num_steps = np.rint(width / smallest)
    eps = float(np.finfo(distinct.dtype).eps)
    step = width / num_steps
    if step < ULPS_PER_STEP * eps * max(-low, numbers.high):
        return None, 0
    if abs(low / step - round(low / step)) < 1e-6:
        per_unit = round(1 / step)
        step = 1 / per_unit if abs(per_unit * step - 1) < max(1e-9, 4 * eps) else step
        low = 0
    is_on_grid = Integer("", step=step, offset=low).is_on_grid(distinct, eps)
    return (step, low) if np.all(is_on_grid) else (None, 0)


def _on_grid(column, end):
    """The value of the grid nearest to an end."""
    if end is None:
        return None
    value = float(column.from_ticks(column.to_ticks(np.asarray(end))))
    return int(value) if value.is_integer() else value


def _ends(ticks):
    """Whether the smallest and the largest are bounds: so many rows that some would be beyond.

    The count beyond is extrapolated from the last two, which falls as a geometric tail does.
    """
    values, counts = np.unique(ticks, return_counts=True)
    for end, inner in ((0, 1), (-1, -2)):
        has_inner = len(values) > 1 and abs(values[end] - values[inner]) == 1
        beyond = counts[end] ** 2 / (counts[inner] if has_inner else 1)
        yield bool(beyond >= _EXPECTED_BEYOND)


def dense_column(
    name: str, numbers: Numbers, common: dict[str, Any], cls: type[Column] | None = None
) -> Column:
    """A real, positive or interval column; `cls` where the user names it."""
    common = common | {"dtype": dense_dtype(common["dtype"])}
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
            f"[{numbers.low}, {numbers.high}]; give tables.Interval({name!r}, low, high)"
        )
    return None


def _is_skewed(x):
    x = x / x.max()
    scaled = (x - x.mean()) / max(x.std(), 1e-12)
    return x.min() <= 0.1 and np.mean(scaled**3) > 1
