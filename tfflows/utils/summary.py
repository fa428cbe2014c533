"""A flow's layers as a table that a person can read."""

import io
import math

import keras
from rich.console import Console
from rich.table import Table


def flow_summary(flow: keras.Model, width: int = 88) -> str:
    """The flow's layers in order from data to latent, with shapes and parameter counts.

    Args:
        flow: a `tfflows.Flow`.
        width: columns of the text.
    """
    table = Table("layer", "what", "latent shape")
    table.add_column("parameters", justify="right")
    table.add_row("data", "", str(flow.event_shape), "")
    shape = flow.event_shape
    for layer in flow.flow_layers:
        shape = _add_rows(table, layer, shape, depth=0)
    table.add_row(type(flow.base).__name__, "base", str(shape), f"{flow.base.count_params():,}")
    trainable = sum(math.prod(weight.shape) for weight in flow.trainable_weights)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    condition = flow.condition_shape if flow.condition_shape is not None else "none"
    console.print(f"{type(flow).__name__} on {flow.event_shape}, condition {condition}")
    console.print(table)
    console.print(f"{flow.count_params():,} parameters, {trainable:,} trainable")
    return console.file.getvalue()


def _add_rows(table, layer, shape, depth):
    """Add a row for the layer, and for the layers inside it; returns its latent shape."""
    what = ", ".join(
        str(getattr(layer, name))
        for name in ("partition", "parity", "levels", "alpha", "factor")
        if isinstance(getattr(layer, name, None), int | float | str)
    )
    latent = layer.latent_event_shape(shape)
    inner = getattr(layer, "flow_layers", [])
    own = layer.count_params() - sum(part.count_params() for part in inner)
    name = "  " * depth + type(layer).__name__
    table.add_row(name, what, str(latent), f"{own:,}" if own else "")
    inner_shape = getattr(layer, "inner_shape", None)
    for part in inner:
        inner_shape = _add_rows(table, part, inner_shape, depth + 1)
    return latent
