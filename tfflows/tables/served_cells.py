"""Cells as SavedModels take them: numbers, with NaN for missing, or text, with "" for missing."""

import numpy as np

from tfflows.tables.columns import Cells, Coded, Column, Datetime, Integer
from tfflows.tables.dates import format_ticks
from tfflows.tables.encoder import has_other
from tfflows.tables.unparsing import OTHER

MISSING = ""


def is_text(column: Column) -> bool:
    """Whether a SavedModel takes the cells of a column as text."""
    if isinstance(column, Coded):
        return has_other(column) or any(isinstance(value, bool | str) for value in column.values)
    return isinstance(column, Datetime)


def texts_of(column: Coded) -> list[str]:
    """The values of a column as text."""
    return [str(value) for value in column.values]


def served_cells(column: Column, cells: Cells) -> np.ndarray:
    """Cells `[n]` as a SavedModel takes them.

    Returns:
        Text as objects; int64, or float64 where a cell is missing or no number is whole.
    """
    values, missing = np.asarray(cells.values), np.asarray(cells.missing)
    if isinstance(column, Datetime):
        return np.where(missing, MISSING, format_ticks(column, values))
    if isinstance(column, Coded) and is_text(column):
        texts = np.array([*texts_of(column), OTHER], object)[values.astype("int64")]
        return np.where(missing, MISSING, texts)
    if isinstance(column, Coded):
        values = np.array(column.values)[values.astype("int64")]
    elif isinstance(column, Integer):
        values = column.from_ticks(values)
    return np.where(missing, np.nan, values) if missing.any() else values
