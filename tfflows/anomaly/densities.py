"""Flows, VAEs and table flows behind the same three calls, which scores are made of."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.compilation import ROW_SIZES
from tfflows.backend.tensor_ops import Tensor
from tfflows.flow import Flow
from tfflows.tables import TableFlow
from tfflows.tables.any_order import orders
from tfflows.training.inputs import as_arrays, check_events

Model = Flow | TableFlow
MAX_ELEMENTS = 2**19  # of the events in one call, so that images take bounded memory

LARGEST = float(np.finfo("float32").max)


def inputs_of(model: Model, x: Any) -> tuple[np.ndarray, ...]:
    """Rows as the tensors that `log_density` takes, checked.

    Args:
        model: a fitted flow, VAE or table flow.
        x: rows `[n, *event_shape]`, or a table, whose columns are found by their names.

    Raises:
        ValueError: rows of another shape, NaN, or values that the model does not take.
    """
    if isinstance(model, TableFlow):
        return tuple(model.fitted_encoder.encode(model.schema.parse(x)))
    x = as_arrays(model.data_schema.in_order(x))
    names = model.data_schema.columns if len(model.event_shape) == 1 else None
    check_events(x, model.event_shape, model.first_layer, names)
    return (np.asarray(x, model.compute_dtype),)


def log_density(model: Model, *inputs: Tensor) -> Tensor:
    """log p of each row in nats, `[n]`, in tensors; of a VAE its bound."""
    if isinstance(model, TableFlow):
        codes, numbers = inputs
        order = orders(len(model.schema), 1, model.fixed_order)[0]
        seen = ops.zeros_like(codes, dtype="float32")
        return ops.sum(model.network.log_terms(codes, numbers, seen, order), axis=1)
    return model.log_density(*inputs)


def evaluate(model: Model, function: Callable, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    """`function(*inputs)` of rows in compiled chunks of a few sizes, float64 `[n, ...]`.

    What is not a number becomes the largest one of float32: a row that has no density is the
    furthest from all that was seen.

    Args:
        model: whose weights the function reads.
        function: what `compiled` gave.
        inputs: of rows, at least one.
    """
    elements = max(1, int(np.prod(inputs[0].shape[1:])))
    size = max(each for each in ROW_SIZES if each == 1 or each * elements <= MAX_ELEMENTS)
    parts = []
    for start in range(0, len(inputs[0]), size):
        chunk = [values[start : start + size] for values in inputs]
        count = len(chunk[0])
        padding = min(each for each in ROW_SIZES if each >= count) - count
        padded = [np.concatenate([v, np.repeat(v[-1:], padding, axis=0)]) for v in chunk]
        parts.append(ops.convert_to_numpy(function(*padded))[:count])
    values = np.concatenate(parts).astype("float64")
    return np.nan_to_num(values, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST)


def compiled(model: Model, function: Callable) -> Callable:
    """A function of tensors, compiled, that always sees the model's current weights."""
    return compilation.compile_method(model, function, jit=False)
