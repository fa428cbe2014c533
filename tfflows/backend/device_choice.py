"""Choosing the form of a computation by the device that it runs on.

A GPU waits for the launch of each small step, and computes large products of which half are zeros
as fast as small ones; a CPU does neither. Results are the same to rounding: a wrong guess costs
time only.

| where | what decides |
|---|---|
| JAX | its default backend, while a function is traced: what is traced here runs here |
| TensorFlow, in this process | whether it sees a GPU or TPU, while a function is traced |
| a SavedModel's graph | the device that the part is placed on, by the server that loads it |

`jax.lax.platform_dependent` would trace both forms, and needs gradients of both.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tfflows.backend import compilation

_scopes = threading.local()


def runs_on_cpu() -> bool:
    """Whether what is being called or traced runs on a CPU, as far as this process knows."""
    assumed = getattr(_scopes, "is_cpu", None)
    if assumed is not None:
        return assumed
    return compilation.is_on_cpu()


@contextlib.contextmanager
def assume_cpu(is_cpu: bool) -> Iterator[None]:
    """Choose within as if the device were a CPU, or were not."""
    before = getattr(_scopes, "is_cpu", None)
    _scopes.is_cpu = is_cpu
    try:
        yield
    finally:
        _scopes.is_cpu = before


def by_device(on_cpu: Callable, on_gpu: Callable, *tensors: Any) -> Any:
    """`on_cpu(*tensors)` or `on_gpu(*tensors)`, which give the same.

    An exported graph holds both, and takes the one for the device that it is placed on: before it
    runs, TensorFlow replaces the index of the device by a constant, so that the choice costs
    nothing. Other readers of SavedModels take `on_cpu`. XLA knows no device while it compiles: what
    it compiles as a whole is chosen here.
    """
    if not compilation.is_exporting() or compilation.is_under_xla():
        return (on_cpu if runs_on_cpu() else on_gpu)(*tensors)
    import tensorflow as tf

    # The index is 2 where the device is unknown, and any index too large takes the last branch.
    index = tf.raw_ops.DeviceIndex(device_names=["GPU", "CPU"])
    return tf.switch_case(index, [lambda: on_gpu(*tensors), lambda: on_cpu(*tensors)])
