"""A flow's layers as a table that a person can read."""

import io
import math
from collections.abc import Sequence

import keras
from rich.console import Console
from rich.table import Table


def flow_summary(
    flow: keras.Model,
    width: int = 88,
    expand_nested: bool = True,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """The flow's layers in order from data to latent, with shapes and parameter counts.

    Args:
        flow: a `tfflows.Flow`.
        width: columns of the text.
        expand_nested: whether to show layers inside layers.
        show_trainable: whether to show which layers have weights that train.
        layer_range: names of the first and the last layer to show.
    """
    table = Table("layer", "what", "latent shape")
    table.add_column("parameters", justify="right")
    if show_trainable:
        table.add_column("trains")
    first, last = _range_of(flow, layer_range)
    table.add_row("data", "", str(flow.event_shape), "")
    shape = flow.event_shape
    for place, layer in enumerate(flow.flow_layers):
        if first <= place <= last:
            _add_rows(table, layer, shape, 0, expand_nested)
        shape = layer.latent_event_shape(shape)
    _add_row(table, flow.base, type(flow.base).__name__, "base", shape, flow.base.count_params())
    trainable = sum(math.prod(weight.shape) for weight in flow.trainable_weights)
    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None)
    condition = flow.condition_shape if flow.condition_shape is not None else "none"
    console.print(f"{type(flow).__name__} on {flow.event_shape}, condition {condition}")
    console.print(table)
    console.print(f"{flow.count_params():,} parameters, {trainable:,} trainable")
    return text.getvalue()


def _range_of(flow, layer_range):
    """Places of the first and last layer to show."""
    names = [layer.name for layer in flow.flow_layers]
    if layer_range is None:
        return 0, len(names)
    if len(layer_range) != 2 or not set(layer_range) <= set(names):
        raise ValueError(
            f"Expected `layer_range` to be two names of {names}. Received: {layer_range}"
        )
    return names.index(layer_range[0]), names.index(layer_range[1])


def _add_rows(table, layer, shape, depth, expand_nested):
    """Add a row for the layer, and for the layers inside it."""
    what = ", ".join(
        str(getattr(layer, name))
        for name in ("partition", "parity", "levels", "alpha", "factor")
        if isinstance(getattr(layer, name, None), int | float | str)
    )
    latent = layer.latent_event_shape(shape)
    inner = getattr(layer, "flow_layers", []) if expand_nested else []
    own = layer.count_params() - sum(part.count_params() for part in inner)
    _add_row(table, layer, "  " * depth + type(layer).__name__, what, latent, own)
    inner_shape = getattr(layer, "inner_shape", None)
    for part in inner:
        _add_rows(table, part, inner_shape, depth + 1, expand_nested)
        inner_shape = part.latent_event_shape(inner_shape)


def _add_row(table, layer, name, what, shape, parameters):
    count = f"{parameters:,}" if parameters else ""
    trains = "yes" if layer.trainable_weights else "no" if layer.weights else ""
    table.add_row(*(name, what, str(shape), count, trains)[: len(table.columns)])
