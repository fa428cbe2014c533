"""Tensors of any leading axes, as TensorFlow Probability has them, as rows of a flow."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.training.density import Density


def as_condition(flow: Density, condition: Tensor | None) -> Tensor | None:
    """A condition as a tensor `[*batch, *condition_shape]` of the flow's dtype.

    Raises:
        ValueError: it is missing, not expected, or of another shape.
    """
    wanted = flow.condition_shape
    if wanted is None and condition is None:
        return None
    if wanted is None or condition is None:
        came = "none" if condition is None else f"condition of shape {np.shape(condition)}"
        expects = "no condition" if wanted is None else f"a condition {('...', *wanted)}"
        raise ValueError(f"The flow expects {expects}. Received: {came}")
    tensor = ops.convert_to_tensor(condition, flow.compute_dtype)
    shape = tuple(tensor.shape)
    if shape[max(0, len(shape) - len(wanted)) :] != tuple(wanted):
        raise ValueError(
            f"Expected a condition of shape {('...', *wanted)}. "
            f"Received: condition of shape {shape}"
        )
    return tensor


def as_rows(
    values: Tensor, event_shape: Sequence[int], condition: Tensor | None, condition_ndims: int
) -> tuple[Tensor, Tensor | None, tuple]:
    """Values `[*any, *event_shape]` and a condition `[*batch, ...]`, broadcast and flattened.

    Args:
        values: tensor.
        event_shape: of one event of it.
        condition: tensor, or None.
        condition_ndims: number of axes of one condition.

    Returns:
        Values `[n, *event_shape]`, conditions `[n, ...]` or None, and the axes that n stands for.

    Raises:
        ValueError: the values end with other axes.
    """
    event_ndims = len(event_shape)
    came = tuple(values.shape)
    if len(came) < event_ndims or came[len(came) - event_ndims :] != tuple(event_shape):
        raise ValueError(f"Expected events of shape {('...', *event_shape)}. Received: {came}")
    if condition is not None:
        batch, single = _split(condition, condition_ndims)
        zeros = ops.zeros((*batch, *(1 for _ in event_shape)), values.dtype)
        values = values + zeros
        leading, _ = _split(values, event_ndims)
        condition = ops.broadcast_to(condition, (*leading, *single))
        condition = ops.reshape(condition, (-1, *single))
    leading, _ = _split(values, event_ndims)
    return ops.reshape(values, (-1, *event_shape)), condition, leading


def _split(tensor, event_ndims):
    shape = tuple(ops.shape(tensor))
    at = len(shape) - event_ndims
    return shape[:at], shape[at:]
