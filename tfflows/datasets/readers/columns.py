"""Which columns of a table are x: by name or place, without the label, the condition and others."""

import warnings
from collections.abc import Sequence

import numpy as np

from tfflows.utils.damage import cut, shortened
from tfflows.utils.suggest import nearest

_SUGGESTED_AMONG = 1000


def choose_columns(
    table,
    columns: Sequence[str | int] | None,
    exclude: Sequence[str | int] = (),
    label: int | None = None,
    condition: Sequence[int] = (),
) -> list[int]:
    """Places of the columns of x.

    Args:
        table: an open table.
        columns: names or places; None takes all that are not excluded, label or condition.
        exclude: names or places of columns to leave out.
        label: place of the label, or None.
        condition: places of the columns of the condition.

    Raises:
        ValueError: a column that is not there, that has two roles, or no column is left.
    """
    left_out = find_columns(table, exclude, "exclude")
    others = {*condition, *([] if label is None else [label])}
    if columns is None:
        taken = {*left_out, *others}
        chosen = [i for i in range(len(table.names)) if i not in taken]
        chosen = _without_index(table, chosen)
        if not chosen:
            raise ValueError(
                f"{table.path} has no columns of numbers beside "
                f"{shortened([table.names[i] for i in sorted(taken)], 200)}"
            )
        return chosen
    if not len(columns):
        raise ValueError(f"{table.path}: columns must be a list of names or indices. Received: []")
    chosen = find_columns(table, columns, "columns")
    for i in chosen:
        if i in left_out:
            raise ValueError(
                f"{table.path}: column {table.names[i]!r} is in columns= and in exclude="
            )
        if i in others:
            role = "label" if i == label else "condition"
            raise ValueError(f"{table.path}: column {table.names[i]!r} is both {role} and data")
    return chosen


def find_columns(table, columns: Sequence[str | int], option: str) -> list[int]:
    """Places of several columns; ValueError for one that is named twice."""
    if isinstance(columns, str):
        raise ValueError(
            f"{table.path}: {option} must be a list of names or indices. Received: {columns!r}"
        )
    places = [find_column(table, column) for column in columns]
    if len(set(places)) < len(places):
        raise ValueError(
            f"{table.path}: {option} must name every column once. Received: {list(columns)}"
        )
    return places


def find_column(table, column: str | int) -> int:
    """Place of a column by its name or place."""
    count = len(table.names)
    if isinstance(column, int | np.integer) and -count <= column < count:
        return int(column) % count
    if column in table.names:
        return table.names.index(column)
    shown = cut(", ".join(table.names[:20])) + (", ..." if count > 20 else "")
    raise ValueError(
        f"{table.path} has no column {column!r} among its {count}: {shown}"
        f"{nearest(str(column), table.names[:_SUGGESTED_AMONG])}"
    )


def _without_index(table, chosen):
    """Leave out the row numbers that pandas writes into a file; refuse other columns of no name."""
    index = getattr(table, "index", None)
    if index in chosen:
        warnings.warn(
            f"{table.path}: left out column {table.names[index]!r}, which looks like an index that "
            "pandas wrote; take it by columns=, or write the file by index=False",
            stacklevel=2,
        )
        return [i for i in chosen if i != index]
    for i in chosen:
        if table.names[i] == "":
            raise ValueError(
                f"{table.path}, column {i} has no name, as an index that pandas wrote. Leave it "
                f"out by exclude=[{i}], or choose columns by columns="
            )
    return chosen
