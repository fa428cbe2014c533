"""Layers compiled one by one, those of equal structure once."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tfflows.backend import compilation
from tfflows.layers.structure import standing_for, structure, tensors_of

if TYPE_CHECKING:
    from tfflows.layers.flow_layer import FlowLayer

_scope = threading.local()


@contextlib.contextmanager
def compiled_layers() -> Iterator[None]:
    """Let `latent_function` compile within; what it compiled is dropped at the end."""
    _scope.functions = {}
    try:
        yield
    finally:
        del _scope.functions


def latent_function(layer: "FlowLayer") -> Callable:
    """What gives z of x, and of a condition where there is one, in a layer's current weights.

    Op by op JAX would compile each operation by itself. Layers of unknown structure, a user's own,
    are called as they are.
    """
    functions = getattr(_scope, "functions", None)
    key = structure(layer)
    if functions is None or key is None:
        return lambda *rows: layer.forward_and_log_det(*rows)[0]
    if key not in functions:

        def latents(tensors, *rows):
            with standing_for([layer], tensors):
                return layer.forward_and_log_det(*rows)[0]

        functions[key] = compilation.compile_function(latents)
    return lambda *rows: functions[key](tensors_of([layer]), *rows)
