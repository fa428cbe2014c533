"""What a log-density says of draws, in numpy, and what is wrong with it."""

from collections.abc import Callable

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor


def log_density_of(target: Callable, x: Tensor, batch_size: int | None = None) -> np.ndarray:
    """`target(x)` as float64 `[n]`; -inf says that there is no mass.

    Args:
        target: x `[n, *event]` -> log-densities `[n]`, up to a constant. Where it has an attribute
            `event_shape`, as those of `tfflows.energies`, that must be the shape of a draw.
        x: draws.
        batch_size: rows at a time; None takes all at once.

    Raises:
        ValueError: a shape is another, the numbers are no floats, or NaN or +inf at a draw, which
            is shown.
    """
    wanted, came = getattr(target, "event_shape", None), tuple(x.shape[1:])
    if wanted is not None and tuple(wanted) != came:
        raise ValueError(
            f"{type(target).__name__} is a density of events of shape {tuple(wanted)}. "
            f"Received: draws of shape {('batch', *came)}"
        )
    rows = len(x)
    size = batch_size or max(rows, 1)
    parts = [_checked(target, x[start : start + size]) for start in range(0, rows, size)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _checked(target, x):
    values = ops.convert_to_numpy(target(x))
    if values.shape != (len(x),):
        raise ValueError(
            f"log_density must map x {tuple(x.shape)} to log-densities {(len(x),)}. "
            f"Received: {values.shape}"
        )
    if values.dtype.kind != "f" and "float" not in str(values.dtype):
        raise ValueError(f"log_density must give floating-point numbers. Received: {values.dtype}")
    values = values.astype("float64")
    wrong = np.flatnonzero(np.isnan(values) | (values == np.inf))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"Expected log-densities that are finite or -inf. Received: {values[row]} at the draw "
            f"{as_text(x, row)} (row {row}; {len(wrong)} of {len(x)} rows)"
        )
    return values


def as_text(x: Tensor, row: int) -> str:
    """One draw, shortened where it has many elements."""
    elements = np.ravel(ops.convert_to_numpy(x)[row])
    return np.array2string(elements, threshold=8, edgeitems=3, precision=4)
