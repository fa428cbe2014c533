"""Runs of layers that repeat: Glow's steps, couplings in turn. One scan computes a run.

Compiling a deep stack takes as long as its layers are many. A scan is compiled once, whatever the
number of steps, over the stacked weights of all.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.scan import scan
from tfflows.backend.tensor_ops import Tensor
from tfflows.layers.flow_layer import FlowLayer
from tfflows.layers.structure import can_be_scanned, standing_for, structure, tensors_of

_scope = threading.local()


@contextlib.contextmanager
def scanned_layers(scan_layers: bool) -> Iterator[None]:
    """Say whether runs of equal steps traced within are one scan each.

    Elsewhere they are not: exported graphs have all their layers.
    """
    before = getattr(_scope, "scan_layers", False)
    _scope.scan_layers = scan_layers
    try:
        yield
    finally:
        _scope.scan_layers = before


def forward_through(
    layers: Sequence[FlowLayer],
    x: Tensor,
    log_det: Tensor,
    condition: Tensor | None,
    training: bool | None,
) -> tuple[Tensor, Tensor]:
    """z of x `[batch, *event]` through layers, and `log_det` `[batch]` with theirs added."""

    def call(layer, x, log_det):
        x, term = layer.forward_and_log_det(x, condition, training)
        return x, log_det + term

    return _through(layers, call, (x, log_det), inverse=False)


def inverse_through(
    layers: Sequence[FlowLayer],
    z: Tensor,
    log_det: Tensor,
    condition: Tensor | None,
    training: bool | None,
) -> tuple[Tensor, Tensor]:
    """x of z `[batch, *latent]` back through layers, and `log_det` `[batch]` with theirs added."""

    def call(layer, z, log_det):
        z, term = layer.inverse_and_log_det(z, condition, training)
        return z, log_det + term

    return _through(layers[::-1], call, (z, log_det), inverse=True)


def generate_through(
    layers: Sequence[FlowLayer], z: Tensor, condition: Tensor | None, training: bool | None
) -> Tensor:
    """x of z `[batch, *latent]` back through layers, without the log-dets."""

    def call(layer, z):
        layer._build_from_latent(z, condition)
        return (layer(z, condition=condition, training=training, inverse=True),)

    return _through(layers[::-1], call, (z,), inverse=True)[0]


def _through(layers, call, carry, inverse):
    if not getattr(_scope, "scan_layers", False) or not compilation.is_traced(carry[0]):
        return _unroll(layers, call, carry)
    for steps in find_runs(layers, inverse, min_steps=2):
        carry = _unroll(steps[0], call, carry) if len(steps) == 1 else _scan(steps, call, carry)
    return carry


def _unroll(layers, call, carry):
    for layer in layers:
        carry = call(layer, *carry)
    return carry


def _scan(steps, call, carry):
    """The first step's layers, once for each step with its weights and constants."""
    template = steps[0]
    columns = list(zip(*(tensors_of(step) for step in steps), strict=True))
    own = {place for place, column in enumerate(columns) if not _is_shared(column)}

    def body(carry, stacked):
        stacked = iter(stacked)
        tensors = [
            next(stacked) if place in own else column[0] for place, column in enumerate(columns)
        ]
        with standing_for(template, tensors):
            return _unroll(template, call, carry)

    x, *log_det = carry
    carry = (ops.cast(x, template[0].compute_dtype), *log_det)
    return scan(body, carry, [ops.stack(columns[place]) for place in sorted(own)])


def _is_shared(column):
    """Whether all steps have one and the same constant, which then stays one in the graph."""
    return isinstance(column[0], np.ndarray) and all(
        np.array_equal(column[0], each) for each in column
    )


def find_runs(
    layers: Sequence[FlowLayer], inverse: bool, min_steps: int
) -> list[list[list[FlowLayer]]]:
    """Layers as runs of steps: those of a run have equal structures, layer by layer.

    Args:
        layers: built layers, in the order in which they are called.
        inverse: the direction.
        min_steps: of a run. What stands in none is a run of one step of one layer.
    """
    keys = [structure(layer) if can_be_scanned(layer, inverse) else None for layer in layers]
    runs, start = [], 0
    while start < len(layers):
        period, count = _longest_run(keys, start, min_steps)
        ends = range(start + period, start + period * count + 1, period)
        runs.append([list(layers[end - period : end]) for end in ends])
        start += period * count
    return runs


def _longest_run(keys, start, min_steps):
    """The period and the number of steps of the run of most layers that begins at `start`."""
    best = (1, 1)
    for period in range(1, (len(keys) - start) // min_steps + 1):
        step = keys[start : start + period]
        if None in step:
            break
        count = 1
        while keys[start + count * period : start + (count + 1) * period] == step:
            count += 1
        if count >= min_steps and period * count > best[0] * best[1]:
            best = (period, count)
    return best
