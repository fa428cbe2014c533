"""The order in which an autoregressive model takes the elements of an event."""

from collections.abc import Sequence

import numpy as np
from keras import ops

NAMES = ("sequential", "reversed", "random")


def make_order(order: str | Sequence[int], dims: int, seed: int | None = None) -> np.ndarray:
    """Indices `[dims]` of the elements in their order.

    Args:
        order: "sequential", "reversed", "random" (drawn from `seed`), or the indices themselves.
        dims: number of elements.
        seed: integer of a random order.
    """
    if isinstance(order, str):
        if order not in NAMES:
            raise ValueError(
                f"order must be one of {list(NAMES)} or a permutation. Received: {order!r}"
            )
        if order == "random":
            if seed is None:
                raise ValueError("order='random' requires a seed, an integer. Received: seed=None")
            return np.random.default_rng(seed).permutation(dims)
        indices = np.arange(dims)
        return indices[::-1].copy() if order == "reversed" else indices
    indices = np.asarray(order)
    if indices.shape != (dims,) or not np.array_equal(np.sort(indices), np.arange(dims)):
        raise ValueError(f"order must be a permutation of 0..{dims - 1}. Received: {order}")
    return indices.astype("int64")


def reorder(x, indices: np.ndarray):
    """The elements of x's last axis at `indices`, by the cheapest operation that gives them."""
    steps = np.diff(indices)
    if (steps == 1).all():
        return x
    if (steps == -1).all():
        return ops.flip(x, axis=-1)
    return ops.take(x, indices, axis=-1)
