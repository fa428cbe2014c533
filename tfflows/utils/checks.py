"""Checks of arguments, whose errors say what was expected and what came."""

import math
import numbers
import operator
from collections.abc import Sequence

import keras
import numpy as np


def as_shape(name: str, shape) -> tuple[int, ...]:
    """A tuple of non-negative integers, or ValueError naming the argument."""
    try:
        sides = tuple(operator.index(side) for side in shape)
    except TypeError:
        sides = (-1,)
    if any(side < 0 for side in sides):
        raise ValueError(
            f"{name} must be a tuple of sizes, such as (28, 28, 1). Received: {shape!r}"
        )
    return sides


def check_positive(**counts: int) -> None:
    """Raise ValueError for a count that is no positive integer, naming it."""
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a positive integer. Received: {count!r}")


def check_draw(num_samples: int, temperature: float) -> None:
    """Raise ValueError unless so many samples can be drawn at this temperature."""
    if not isinstance(num_samples, int | np.integer) or num_samples < 0:
        raise ValueError(f"num_samples must be an integer >= 0. Received: {num_samples!r}")
    is_number = isinstance(temperature, numbers.Real)
    if not is_number or not 0 <= float(temperature) < math.inf:
        raise ValueError(f"temperature must be finite and >= 0. Received: {temperature!r}")


def check_guidance(guidance: float) -> None:
    """Raise ValueError unless it is one that `sample` takes."""
    if not isinstance(guidance, numbers.Real) or not 0 <= float(guidance) < math.inf:
        raise ValueError(f"guidance must be finite and >= 0. Received: {guidance!r}")


def check_shape(x, event_shape: tuple) -> None:
    """Raise ValueError unless x is `[n, *event_shape]` of numbers."""
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        raise ValueError(f"Expected arrays or tensors. Received: {type(x).__name__}")
    if not _is_number(x.dtype):
        raise ValueError(f"Expected numbers. Received: x of dtype {x.dtype}")
    if tuple(x.shape[1:]) != tuple(event_shape):
        raise ValueError(
            f"Expected x of shape {('batch', *event_shape)}. Received: x of shape {tuple(x.shape)}"
        )


def refuse_outside(
    outside: np.ndarray,
    x: np.ndarray,
    expected: str,
    names: Sequence[str] | None = None,
    offset: int = 0,
) -> None:
    """Raise ValueError where a value has no density, naming the first such value and its place.

    Args:
        outside: booleans `[n, *event]`.
        x: values of that shape.
        expected: what they must be.
        names: of the last axis, or None.
        offset: index of the first element of the last axis.
    """
    if not outside.any():
        return
    place = tuple(int(i) for i in np.argwhere(outside)[0])
    last = place[-1] + offset
    at = f"x[{', '.join(map(str, [*place[:-1], last]))}]"
    if names is not None:
        at = f"row {place[0]} of column {names[place[-1]]}"
    raise ValueError(
        f"Expected {expected}. Received: {x[place]} at {at}, the first of {outside.sum()}"
    )


def _is_number(dtype) -> bool:
    try:
        name = keras.backend.standardize_dtype(dtype)
    except ValueError:
        return False
    return name.startswith(("float", "bfloat", "int", "uint", "bool"))
