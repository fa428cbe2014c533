"""The cells of columns in a TensorFlow graph: what signatures take, and what they give.

| column | dtype |
|---|---|
| Real, Positive, Interval | float64 |
| Integer with a whole step | int64; float64 where a cell may be missing |
| other Integer | float64 |
| Ordinal, Category, Boolean of numbers | int64 or float64, by the same rule |
| other Ordinal, Category, Boolean | string |
| Datetime | string, in the column's format or ISO 8601 |

A missing cell is NaN or the empty string.
"""

import math
import textwrap
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.tables.columns import Boolean, Category, Coded, Column, Datetime, Dense, Integer
from tfflows.tables.encoder import has_other, num_codes
from tfflows.tables.graph_dates import check_format, format_dates, parse_dates
from tfflows.tables.marginal import Marginal
from tfflows.tables.served_cells import MISSING, is_text, texts_of
from tfflows.tables.unparsing import OTHER
from tfflows.utils.damage import shortened

_BUCKETS = 2**62


class GraphCells(NamedTuple):
    """A column as the network takes it; see `Encoded`.

    Attributes:
        codes: int32 `[n]`.
        numbers: float32 `[n, 4]`, or None of a column of codes.
        missing: bool `[n]`.
    """

    codes: Any
    numbers: Any
    missing: Any


def served_dtype(column: Column, missing: bool) -> tf.DType:
    """The dtype of a column whose cells may be missing or not."""
    if is_text(column):
        return tf.string
    is_whole = False
    if isinstance(column, Coded):
        is_whole = all(isinstance(value, int) for value in column.values)
    elif isinstance(column, Integer):
        is_whole = _is_whole(column)
    return tf.int64 if is_whole and not missing else tf.float64


def check_servable(column: Column) -> None:
    """Raise ValueError where a column cannot stand in a SavedModel."""
    if isinstance(column, Datetime):
        check_format(column)
    if isinstance(column, Coded) and MISSING in column.values:
        raise ValueError(
            f"Column {column.name!r}: the empty string is a missing cell in a SavedModel, and "
            f"cannot be one of its values. Received: {shortened(list(column.values), 100)}"
        )


def encode_cells(
    column: Column, marginal: Marginal | None, cells: Tensor, allow_missing: bool
) -> GraphCells:
    """Cells `[n]` as the network takes them; the graph fails where one does not fit the column.

    Args:
        column: what they may be.
        marginal: of a column of numbers.
        cells: of `served_dtype(column, allow_missing)`.
        allow_missing: whether cells may be missing.
    """
    missing = _is_missing(cells)
    if not allow_missing:
        _check(~missing, column, "a value", tf.fill(tf.shape(cells), "a missing cell"))
    if marginal is None:
        codes, numbers = _codes(column, cells, missing), None
    elif isinstance(column, Dense):
        codes, numbers = _dense(column, marginal, cells, missing)
    else:
        ticks = _ticks(column, cells, missing)
        codes = tf.zeros_like(ticks, tf.int32)
        x = tf.cast(ticks - marginal.origin, tf.float64)
        numbers = _numbers(marginal, x, ~missing)
    last = num_codes(column) - 1 if column.missing else 0
    return GraphCells(tf.where(missing, last, codes), numbers, missing)


def decode_codes(column: Coded, codes: Tensor, missing: bool) -> Tensor:
    """Cells `[n]` of drawn codes, of `served_dtype(column, missing)`.

    Args:
        column: Ordinal, Category or Boolean.
        codes: int32 `[n]`.
        missing: whether cells may be missing.
    """
    dtype = served_dtype(column, missing)
    values = _served_values(column, dtype) + [OTHER] * has_other(column)
    return tf.gather(tf.constant([*values, _mark(dtype)] if missing else values, dtype), codes)


def decode_numbers(
    marginal: Marginal, codes: Tensor, z: Tensor, noise: Tensor, missing: bool
) -> Tensor:
    """Cells `[n]` of drawn codes and z, of `served_dtype(marginal.column, missing)`.

    Args:
        marginal: of the column.
        codes: int32 `[n]`.
        z: float32 `[n]`.
        noise: float64 `[n]` in (0, 1), for digits beyond float32.
        missing: whether cells may be missing.
    """
    column = marginal.column
    dtype = served_dtype(column, missing)
    last_digit = tf.math.nextafter(tf.abs(z), tf.constant(math.inf, tf.float32)) - tf.abs(z)
    fine = tf.cast(z, tf.float64) + (noise - 0.5) * tf.cast(last_digit, tf.float64)
    x = marginal.inverse(fine, ops)
    if isinstance(column, Dense):
        for number, atom in enumerate(column.atoms):
            x = tf.where(codes == 1 + number, tf.constant(atom, tf.float64), x)
    else:
        x = _from_ticks(column, _to_whole(marginal, x), dtype)
    if not missing:
        return x
    return tf.where(codes == num_codes(column) - 1, tf.constant(_mark(dtype), dtype), x)


def _is_missing(cells):
    if cells.dtype == tf.string:
        return cells == MISSING
    if cells.dtype == tf.float64:
        return tf.math.is_nan(cells)
    return tf.zeros_like(cells, tf.bool)


def _mark(dtype):
    return MISSING if dtype == tf.string else math.nan


def _check(is_right, column, expected, came):
    """Fail in the graph at the first wrong cell: its row, what was expected and what came.

    Without quotation marks, which TensorFlow would escape.
    """
    row = tf.strings.as_string(tf.where(~is_right)[:1, 0])
    came = tf.boolean_mask(came, ~is_right)[:1]
    place, received = (tf.strings.reduce_join(text) for text in (row, came))
    message = tf.strings.join(
        ["row ", place, f", column {column.name}: expected {expected}. Received: ", received]
    )
    tf.debugging.Assert(tf.reduce_all(is_right), [message])


def _text(cells):
    if cells.dtype == tf.string:
        return cells
    is_float = cells.dtype == tf.float64
    return tf.strings.as_string(cells, shortest=True) if is_float else tf.strings.as_string(cells)


def _served_values(column, dtype):
    return texts_of(column) if dtype == tf.string else list(column.values)


def _codes(column, cells, missing):
    values = _served_values(column, cells.dtype)
    if isinstance(column, Boolean) and cells.dtype == tf.string and True in column.values:
        values, cells = [value.lower() for value in values], tf.strings.lower(cells)
    codes, is_known = _find(cells, values)
    if isinstance(column, Category) and column.other:
        return tf.where(is_known, codes, len(values))
    listed = textwrap.shorten(", ".join(texts_of(column)), 100, placeholder=" ...")
    listed = f"one of the {len(values):,} values of the {column.kind}, {listed}"
    _check(is_known | missing, column, listed, _text(cells))
    return codes


def _find(cells, values):
    """Places in `values` of cells `[n]`, and whether each is one of them: a binary search.

    Strings are found by a hash. A lookup table would be a resource, with a state of its own.
    """
    keys, wanted = np.asarray(values, cells.dtype.as_numpy_dtype), cells
    if cells.dtype == tf.string:
        wanted = tf.strings.to_hash_bucket_fast(cells, _BUCKETS)
        with tf.init_scope():
            keys = tf.strings.to_hash_bucket_fast(tf.constant(values), _BUCKETS).numpy()
    order = np.argsort(keys).astype("int32")
    places = tf.searchsorted(tf.constant(keys[order]), wanted)
    codes = tf.gather(order, tf.minimum(places, len(values) - 1))
    return codes, tf.gather(tf.constant(values, cells.dtype), codes) == cells


def _dense(column, marginal, x, missing):
    low, high = column.bounds
    is_plain = (low < x) & (x < high)
    codes = tf.zeros_like(x, tf.int32)
    if column.atoms:
        codes, is_atom = _find(x, list(column.atoms))
        codes = tf.where(is_atom, codes + 1, 0)
    support = f"a number in ({low:g}, {high:g})"
    support += f", or one of {shortened(list(column.atoms))}" * bool(column.atoms)
    _check(is_plain | (codes > 0) | missing, column, support, _text(x))
    return codes, _numbers(marginal, x, is_plain & (codes == 0))


def _numbers(marginal, x, is_plain):
    """The cells of a `Marginal`, computed in float64, `[n, 4]`."""
    inner = float(marginal.inverse(np.zeros(1))[0])  # some value whose logs are finite
    numbers = tf.stack(marginal.cells(tf.where(is_plain, x, inner), ops), axis=1)
    return tf.cast(tf.where(is_plain[:, None], numbers, 0.0), tf.float32)


def _ticks(column, cells, missing):
    """int64 `[n]`, checked."""
    if isinstance(column, Datetime):
        ticks, is_date, is_whole = parse_dates(column, cells)
        format = column.format or "ISO 8601"
        _check(is_date | missing, column, f"a date as {format}", cells)
        _check(is_whole | missing, column, f"whole units of {column.unit}", cells)
    else:
        ticks, is_on_grid = _ticks_of_integers(column, cells)
        _check(is_on_grid | missing, column, column.grid, _text(cells))
    low, high = column.bounds
    least, most = ticks.dtype.min if low is None else low, ticks.dtype.max if high is None else high
    limit = f"a value from {_end(column.low)} to {_end(column.high)}"
    _check((ticks >= least) & (ticks <= most) | missing, column, limit, _text(cells))
    return tf.where(missing, tf.zeros_like(ticks), ticks)


def _end(bound):
    return "any" if bound is None else bound


def _ticks_of_integers(column, cells):
    if cells.dtype == tf.int64:
        distance, step = cells - int(column.offset), int(column.step)
        return distance // step, distance % step == 0
    x = tf.where(tf.math.is_finite(cells), cells, 2.0**62)
    ticks = tf.round((x - column.offset) / column.step)
    error = tf.abs(x - (ticks * column.step + column.offset))
    eps = np.finfo("float64").eps
    allowed = 1e-6 * column.step + 2 * eps * (tf.abs(x) + abs(column.offset))
    is_right = (error <= allowed) & (tf.abs(ticks) < 2.0**62)
    return tf.cast(tf.where(is_right, ticks, 0.0), tf.int64), is_right


def _is_whole(column):
    return float(column.step).is_integer() and float(column.offset).is_integer()


def _to_whole(marginal, x):
    """Ticks, int64, of x less the origin."""
    ticks = tf.cast(tf.round(tf.clip_by_value(x, -(2.0**62), 2.0**62)), tf.int64) + marginal.origin
    low, high = marginal.whole_bounds
    ticks = ticks if low is None else tf.maximum(ticks, low)
    return ticks if high is None else tf.minimum(ticks, high)


def _from_ticks(column, ticks, dtype):
    if isinstance(column, Datetime):
        return format_dates(column, ticks)
    if _is_whole(column):
        return tf.cast(ticks * int(column.step) + int(column.offset), dtype)
    ticks, per_unit = tf.cast(ticks, tf.float64), round(1 / column.step)
    # 3 / 10 is the float 0.3; 3 * 0.1 is not.
    is_fraction = per_unit and math.isclose(per_unit * column.step, 1)
    return (ticks / per_unit if is_fraction else ticks * column.step) + column.offset
