"""Calls on many rows, some of them at a time."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.tensor_ops import Tensor
from tfflows.utils.checks import check_positive


def in_chunks(call: Callable, size: int | None, *tensors: Tensor) -> Any:
    """`call(*tensors)` for `size` rows at a time, its results joined.

    Args:
        call: maps tensors `[n, ...]` to a tensor `[n, ...]` or a tuple of them, row by row.
        size: rows per call; None, or being traced, calls once.
        tensors: `[n, ...]`, or None.

    Raises:
        ValueError: the size is not a positive integer.
    """
    if size is None:
        return call(*tensors)
    check_positive(batch_size=size)
    rows = tensors[0].shape[0]
    if compilation.is_traced(*tensors) or rows <= size:
        return call(*tensors)
    results = [
        call(*(None if each is None else each[start : start + size] for each in tensors))
        for start in range(0, rows, size)
    ]
    return keras.tree.map_structure(lambda *parts: ops.concatenate(parts), *results)
