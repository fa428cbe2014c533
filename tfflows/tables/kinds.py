"""Kinds of columns by their names: columns from configs, and of other kinds."""

import dataclasses
from typing import Any

from tfflows.tables.columns import (
    Boolean,
    Category,
    Column,
    Datetime,
    Dense,
    Integer,
    Interval,
    Ordinal,
    Positive,
    Real,
)
from tfflows.utils.suggest import nearest

KINDS: dict[str, type[Column]] = {
    kind.__name__.lower(): kind
    for kind in (Real, Positive, Interval, Integer, Ordinal, Category, Boolean, Datetime)
}


def kind_named(kind: Any, name: str) -> type[Column]:
    """The class of a kind; ValueError with the nearest name where there is none."""
    if kind not in KINDS:
        raise ValueError(
            f"Expected the kind of column {name!r} to be one of {list(KINDS)}. "
            f"Received: {kind!r}{nearest(str(kind), KINDS)}"
        )
    return KINDS[kind]


def column_from_config(config: dict[str, Any]) -> Column:
    """The column that `Column.get_config` describes.

    Raises:
        ValueError: an unknown kind or key, with the nearest one, or a value that does not fit.
    """
    config = dict(config)
    name = config.get("name")
    kind = config.pop("kind", None)
    cls = kind_named(kind, str(name))
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in config:
        if key not in fields:
            raise ValueError(
                f"Expected the keys of column {name!r} to be among {['kind', *fields]}. "
                f"Received: {key!r}{nearest(str(key), fields)}"
            )
    for key, field in fields.items():
        if key not in config and field.default is dataclasses.MISSING:
            raise ValueError(f"Expected column {name!r} of kind {kind!r} to have a key {key!r}")
    return cls(**config)


def change_kind(column: Column, kind: str) -> Column:
    """A column of another kind, with all that both kinds have.

    Raises:
        ValueError: there is no such kind, or it requires what the column does not say.
    """
    cls = kind_named(kind, column.name)
    of_column = {field.name for field in dataclasses.fields(column)}
    shared = [field.name for field in dataclasses.fields(cls) if field.name in of_column]
    config = {name: getattr(column, name) for name in shared}
    if issubclass(cls, Dense):
        config["dtype"] = dense_dtype(column.dtype)
    try:
        if cls is Ordinal and any(isinstance(v, str) for v in config.get("values", ())):
            raise ValueError(f"Expected the order of the levels of column {column.name!r}")
        return column_from_config({**config, "kind": kind})
    except ValueError as error:
        raise ValueError(
            f"{error}. The {column.kind} {column.name!r} does not say it: give the column instead "
            f"of its kind, such as tables.{cls.__name__}({column.name!r}, ...)"
        ) from error


def dense_dtype(dtype: str | None) -> str | None:
    """The dtype of numbers with a density, where they stood in `dtype` before."""
    return None if dtype is None or "int" in dtype.lower() else dtype
