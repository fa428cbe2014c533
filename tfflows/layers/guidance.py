"""Classifier-free guidance (Ho and Salimans 2022), as autoregressive flows take it (TarFlow)."""

import contextlib
import threading
from collections.abc import Iterator

from tfflows.backend.tensor_ops import Tensor

_scope = threading.local()


@contextlib.contextmanager
def guided(strength: Tensor | None) -> Iterator[None]:
    """Let layers that are inverted within move their parameters away from the unconditional ones.

    Args:
        strength: w `[batch]`; parameters are (1 + w) those of the condition - w those without one.
            None for none.
    """
    before = current_guidance()
    _scope.strength = strength
    try:
        yield
    finally:
        _scope.strength = before


def current_guidance() -> Tensor | None:
    """The strength `[batch]` that `guided` has set, or None."""
    return getattr(_scope, "strength", None)
