"""What every module says about tensors: dtype of the data path, sums and means of a batch."""

from typing import Any

import numpy as np
from keras import ops

Tensor = Any  # a tensor of the backend in use, or what it converts to one


def data_dtype(variable_dtype: str) -> str:
    """Dtype of the data path: bfloat16 there would cost 0.05 to 0.1 of round-trip error."""
    return "float64" if variable_dtype == "float64" else "float32"


def identity(size: int, dtype: str) -> Tensor:
    """The identity `[size, size]`, by comparing.

    OpenVINO has no `eye`, and a SavedModel would hold a constant once for each signature.
    """
    index = np.arange(size, dtype="int32")
    return ops.cast(ops.equal(index[:, None], index), dtype)


def sum_event(values: Tensor) -> Tensor:
    """Sum `[batch, *event]` over the event axes, to `[batch]`."""
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def cut_far(x: Tensor, limit: float = 1e15) -> Tensor:
    """x cut at +-limit; what is NaN stays so.

    Where products are made of data (networks, matrices, norms), they would overflow far out, and
    infinity less infinity is NaN. A network that is given cut data is a function of the data as
    any, so that a layer on it stays a bijection; with a limit of 1e30 a matrix takes what no
    density in float32 reaches.
    """
    return ops.clip(x, -limit, limit)


def wrap(x: Tensor, bound: float) -> Tensor:
    """x less the multiple of 2 bound that leaves it in [-bound, bound]; the gradient is that of x.

    NaN and infinity become NaN.
    """
    inner = x - 2 * bound * ops.floor((x + bound) / (2 * bound))
    return inner + ops.stop_gradient(ops.clip(inner, -bound, bound) - inner)  # off by rounding


def bounded_gradient(z: Tensor, limit: float = 1e10) -> Tensor:
    """z, whose gradient is less by limit / |z| where |z| is above the limit.

    The log-density of a normal has the gradient -z, which products with what made z would carry
    over the end of float32: one row far out would make all weights NaN.
    """
    near = cut_far(z, 1e30)
    near = near * ops.stop_gradient(ops.minimum(1.0, limit / ops.maximum(ops.abs(near), 1.0)))
    return near + ops.stop_gradient(z - near)


def batch_mean(values: Tensor) -> Tensor:
    """Mean of `[batch]`; 0 of an empty one, which a replica gets at the end of some epochs."""
    rows = ops.maximum(ops.cast(ops.shape(values)[0], values.dtype), 1)
    return ops.sum(values) / rows


def zero_or_nan(values: Tensor, dtype: str) -> Tensor:
    """0 for each row `[batch]` of finite values `[batch, ...]`, NaN for the others.

    Networks in TensorFlow's graphs may give finite numbers for NaN (see `backend.activations`).
    """
    return sum_event(0.0 * ops.cast(values, dtype))


def without_empty_batch(x: Tensor) -> Tensor:
    """x `[batch, ...]`, with a row of zeros where it has none.

    TensorFlow's convolutions give an empty batch the channels of their input.
    """
    rows = 1
    if x.shape[0] is None:
        rows = ops.cast(ops.equal(ops.shape(x)[0], 0), "int32")
    return ops.concatenate([x, ops.zeros((rows, *x.shape[1:]), x.dtype)])


def repeat_log_det(log_det: Tensor, x: Tensor) -> Tensor:
    """A log-det that is the same for every example, as `[batch]`.

    `ops.cast` would make a Python number float32 first.
    """
    return ops.broadcast_to(ops.convert_to_tensor(log_det, dtype=x.dtype), (ops.shape(x)[0],))
