"""Joining a condition to what a network sees."""

import math

from keras import ops

from tfflows.backend.tensor_ops import Tensor


def join_condition(x: Tensor, condition: Tensor | None) -> Tensor:
    """Append a condition to the last axis of a network's input.

    Args:
        x: `[batch, features]` or `[batch, height, width, channels]`.
        condition: None, or `[batch, ...]`: of x's height and width it is appended as channels;
            otherwise it is flattened and, for images, repeated at every position.
    """
    if condition is None:
        return x
    if tuple(condition.shape[1:-1]) != tuple(x.shape[1:-1]) or len(condition.shape) < 2:
        size = math.prod(condition.shape[1:])
        condition = ops.reshape(condition, (-1, *(1 for _ in x.shape[1:-1]), size))
        condition = ops.broadcast_to(condition, (*ops.shape(x)[:-1], size))
    return ops.concatenate([x, ops.cast(condition, x.dtype)], axis=-1)


def joined_shape(event_shape: tuple, condition_shape: tuple | None) -> tuple:
    """Shape of one event of `join_condition`'s result."""
    if condition_shape is None:
        return tuple(event_shape)
    *rest, channels = event_shape
    if len(condition_shape) >= 1 and tuple(condition_shape[:-1]) == tuple(rest):
        return (*rest, channels + condition_shape[-1])
    return (*rest, channels + math.prod(condition_shape))
