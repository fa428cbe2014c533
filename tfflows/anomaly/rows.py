"""Rows as users have them: arrays, images, tables of numbers, typed tables, datasets."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tfflows.tables import Category, Datetime, Integer, Interval, Positive, Real, Schema
from tfflows.training.inputs import arrange, as_arrays


def read_rows(data: Any, is_table: bool = False) -> Any:
    """All rows in memory: an array `[n, *event]`, or a pandas DataFrame.

    Args:
        data: an array of rows `[n, columns]`, of images `[n, height, width, channels]` or
            `[n, height, width]`; a DataFrame, an Arrow or polars table, or a dict of columns; a
            dataset of batches of either.
        is_table: whether it must be a table with names of columns.

    Raises:
        ValueError: something else was given, or a dataset without a batch.
    """
    if _is_dataset(data):
        data = _all_batches(data)
    if isinstance(data, Mapping) or (hasattr(data, "to_pandas") and not hasattr(data, "iloc")):
        import pandas as pd

        data = pd.DataFrame(data) if isinstance(data, Mapping) else data.to_pandas()
    if hasattr(data, "iloc"):
        return data.reset_index(drop=True)
    x = as_arrays(data)
    if is_table:
        raise ValueError(
            "Expected a table with names of columns, because the detector is one of typed columns. "
            f"Received: {type(data).__name__} of shape {np.shape(x)}"
        )
    x = np.asarray(x)
    if x.dtype.kind == "b":
        x = x.astype("uint8")
    if not np.issubdtype(x.dtype, np.number):
        raise ValueError(
            "Expected rows of numbers, or a DataFrame, whose columns may hold text and dates. "
            f"Received: an array of dtype {x.dtype}"
        )
    if x.ndim < 2:
        raise ValueError(
            "Expected rows [n, columns] or images [n, height, width, channels]. "
            f"Received: shape {x.shape}"
        )
    if x.ndim == 3 and x.shape[-1] in (1, 3):
        raise ValueError(
            "Expected images [n, height, width, channels] or [n, height, width]. "
            f"Received: shape {x.shape}, as one image has it: give x[None]"
        )
    return x[..., None] if x.ndim == 3 else x


def is_frame(rows: Any) -> bool:
    """Whether rows are a DataFrame."""
    return hasattr(rows, "iloc")


def take(rows: Any, places: np.ndarray) -> Any:
    """Some of the rows that `read_rows` gave."""
    return rows.iloc[places].reset_index(drop=True) if is_frame(rows) else rows[places]


def schema_of(rows: Any, schema: Schema | None = None) -> Schema | None:
    """The schema of a typed table; None of an array, and of a table of numbers without holes.

    What is inferred is opened: a category that was never seen, or a number beyond all others, is a
    rare row and not an error.

    Args:
        rows: as `read_rows` gives them.
        schema: the user's own, which is taken as it is.
    """
    if schema is not None or not is_frame(rows):
        return schema
    if all(_is_plain(rows.iloc[:, place]) for place in range(rows.shape[1])):
        return None
    return _opened(Schema.infer(rows))


def _opened(schema):
    columns = []
    for column in schema:
        if isinstance(column, Positive | Interval):
            column = Real(
                column.name, dtype=column.dtype, missing=column.missing, atoms=column.atoms
            )
        elif isinstance(column, Integer | Datetime):
            column = dataclasses.replace(column, low=None, high=None)
        elif isinstance(column, Category):
            column = dataclasses.replace(column, other=True)
        columns.append(column)
    return Schema(columns)


def perturbed(rows: Any, share: float, seed: int) -> Any:
    """Rows some of whose cells are another row's: each column keeps its values, pairs do not.

    Pixels become any value from 0 to 255 (Ren et al. 2019, section 3).

    Args:
        rows: as `read_rows` gives them.
        share: of the cells.
        seed: of which and by what.
    """
    random = np.random.default_rng(seed)
    if is_frame(rows):
        rows = rows.copy()
        for place, name in enumerate(rows.columns):
            mixed = rows.iloc[random.permutation(len(rows)), place].to_numpy()
            chosen = random.random(len(rows)) < share
            rows[name] = rows[name].where(~chosen, mixed)
        return rows
    chosen = random.random(rows.shape) < share
    if rows.ndim == 2:
        return np.where(chosen, random.permuted(rows, axis=0), rows)
    return np.where(chosen, random.integers(0, 256, rows.shape).astype(rows.dtype), rows)


def _is_dataset(data):
    if isinstance(data, keras.utils.PyDataset) or hasattr(data, "element_spec"):
        return True
    return not hasattr(data, "shape") and hasattr(data, "__next__")


def _all_batches(data):
    """The rows of all batches, which must not have targets beside them."""
    if isinstance(data, keras.utils.PyDataset):
        batches, count = data, data.num_batches
        if count is None:
            raise ValueError("Expected a dataset of known length. Received: num_batches of None")
        data = (batches[place] for place in range(count))
    parts = [arrange(batch, False)[0] for batch in data]
    if not parts:
        raise ValueError("The data are empty: no batch came from the dataset")
    if isinstance(parts[0], Mapping):
        names = parts[0].keys()
        return {name: np.concatenate([_texts(part[name]) for part in parts]) for name in names}
    return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])


def _texts(values):
    values = np.asarray(values)
    if values.dtype == object:  # bytes, as TensorFlow has text
        return np.array([v.decode() if isinstance(v, bytes) else v for v in values], object)
    return values


def _is_plain(column):
    """Whether a column is of numbers, none missing."""
    return column.dtype.kind in "iuf" and not column.isna().any()
