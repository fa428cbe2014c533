"""Flows over tables whose columns are all continuous: RealNVP, NSF, MAF, FFJORD and others."""

import itertools
from collections.abc import Callable
from typing import Any

from tfflows.flow import Flow
from tfflows.layers import Blockwise, FlowLayer, InverseSoftplus, Log, Logit, Standardize
from tfflows.models import NSF
from tfflows.tables.columns import Interval, Positive, Real
from tfflows.tables.schema import Schema
from tfflows.utils.data_schema import DataSchema

POSITIVE_LAYERS = {"log": Log, "inverse_softplus": InverseSoftplus}


def support_layers(schema: Schema, positive: str = "log", dtype: Any = None) -> list[FlowLayer]:
    """The layers that take the columns of a schema from their supports to the real line.

    Real columns stay as they are, those above 0 go through `Log`, those in (low, high) through
    `Logit(0, low, high)`; then all are standardized. The density stays one over the columns in
    their own units, and samples never leave the supports.

    Args:
        schema: of real, positive and interval columns, without atoms and missing cells.
        positive: "log", or "inverse_softplus" where the tail of positive columns is not longer than
            that of a normal; it bends at 1 in the units of the data.
        dtype: dtype policy of the layers, that of the flow.

    Returns:
        Layers for `preprocessing=`, new ones each time.

    Raises:
        ValueError: a column has probability masses instead of a density; all such are named.

    Example:
        >>> from tfflows import models, tables
        >>> schema = tables.Schema([tables.Real("change"), tables.Positive("price")])
        >>> flow = models.RealNVP((2,), preprocessing=tables.support_layers(schema))
    """
    if positive not in POSITIVE_LAYERS:
        raise ValueError(f"positive must be one of {list(POSITIVE_LAYERS)}. Received: {positive!r}")
    columns = _continuous_columns(schema)
    # Columns of one support that stand side by side are one block.
    groups = [
        (bounds, len(list(group)))
        for bounds, group in itertools.groupby(columns, lambda column: column.bounds)
    ]
    layers: list[FlowLayer] = [Standardize(dtype=dtype)]
    if any(not isinstance(column, Real) for column in columns):
        make = POSITIVE_LAYERS[positive]
        blocks = [_layer(low, high, make, dtype) for (low, high), _ in groups]
        layers.insert(0, Blockwise(blocks, [size for _, size in groups], dtype=dtype))
    return layers


def plain_flow(
    schema: Schema,
    model: Callable[..., Flow] = NSF,
    *,
    positive: str = "log",
    dtype: Any = None,
    **arguments: Any,
) -> Flow:
    """A flow over the columns of a schema, which finds them in tables by their names.

    Args:
        schema: as in `support_layers`.
        model: a model of vectors, such as `models.RealNVP` or `models.MAF`.
        positive, dtype: as in `support_layers`.
        **arguments: of the model, without `event_shape` and `preprocessing`.

    Returns:
        The flow, whose `fit` and `log_prob` take DataFrames that have the columns, in any order.

    Raises:
        ValueError: a column has probability masses instead of a density.

    Example:
        >>> from tfflows import models, tables
        >>> schema = tables.Schema([tables.Positive("price"), tables.Interval("share", 0, 100)])
        >>> flow = tables.plain_flow(schema, models.MAF, num_layers=3)
        >>> flow.data_schema.columns
        ('price', 'share')
    """
    preprocessing = support_layers(schema, positive, dtype)
    flow = model((len(schema),), preprocessing=preprocessing, dtype=dtype, **arguments)
    flow.data_schema = DataSchema(columns=schema.names)
    return flow


def _continuous_columns(schema):
    """The columns of the schema; ValueError where one has a probability mass."""
    columns, masses = [], []
    for column in schema:
        reasons = []
        if not isinstance(column, Real | Positive | Interval):
            reasons.append(column.kind)
        elif column.atoms:
            reasons.append("atoms")
        if column.missing:
            reasons.append("missing cells")
        if reasons:
            masses.append(f"{column.name!r} ({' and '.join(reasons)})")
        columns.append(column)
    if masses:
        raise ValueError(
            "Expected columns that are real, positive or interval, without atoms and missing "
            "cells: a plain flow has a density and no probability masses. Use a TableFlow, leave "
            f"columns out, or give them another kind by `replace`. Received: {', '.join(masses)}"
        )
    return columns


def _layer(low, high, positive_layer, dtype):
    """The layer of a support (low, high), None for the real line."""
    if high < float("inf"):
        return Logit(0, low=low, high=high, dtype=dtype)
    return positive_layer(dtype=dtype) if low == 0 else None
