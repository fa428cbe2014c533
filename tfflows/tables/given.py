"""What rows are conditioned on, as users say it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfflows.tables.schema import Schema
from tfflows.utils.suggest import nearest


def places_of(schema: Schema, names: Sequence[str] | Mapping[str, Any]) -> list[int]:
    """Places of columns in the schema, by their names.

    Raises:
        ValueError: there is no such column; the nearest one is named.
    """
    if isinstance(names, str):
        raise ValueError(f"Expected `given` to be a list of names. Received: {names!r}")
    for name in names:
        if name not in schema:
            raise ValueError(
                f"Expected `given` to name columns of the table. Received: {name!r}"
                f"{nearest(str(name), schema.names)}"
            )
    return [schema.names.index(name) for name in names]


def per_row(name: str, value: Any, num_rows: int) -> np.ndarray:
    """A value for all rows, or one per row, as an array."""
    if isinstance(value, str | bytes) or np.ndim(value) == 0:
        return np.full(num_rows, value, dtype=object if isinstance(value, str) else None)
    if len(value) != num_rows:
        raise ValueError(
            f"Expected `given` to hold one value of {name!r}, or one per row, {num_rows}. "
            f"Received: {len(value)}"
        )
    return np.asarray(value)
