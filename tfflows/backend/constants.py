"""Arrays that layers compute with and that are no weights: permutations, signs, masks."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfflows.backend.tensor_ops import Tensor

_replacements = threading.local()


class Constant:
    """An array in which layers that are otherwise the same function may differ.

    A layer computes with `value`. Where one layer stands for others, which is traced once and gets
    their weights, `replaced_constants` gives it their constants too.

    Args:
        array: the value, made when the layer is built.
    """

    def __init__(self, array: np.ndarray):
        self.array = array

    @property
    def value(self) -> Any:
        """The array, or the tensor that stands for it."""
        return getattr(_replacements, "by_id", {}).get(id(self), self.array)


@contextlib.contextmanager
def replaced_constants(values: Mapping[Constant, Tensor]) -> Iterator[None]:
    """Let each constant have another value meanwhile, in this thread."""
    before = getattr(_replacements, "by_id", {})
    _replacements.by_id = {**before, **{id(constant): value for constant, value in values.items()}}
    try:
        yield
    finally:
        _replacements.by_id = before
