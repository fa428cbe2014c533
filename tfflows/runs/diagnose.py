"""Where a training became NaN or infinite: the step, the layer and the rows of the batch."""

from collections.abc import Iterable

import numpy as np
from keras import ops

from tfflows.flow import Flow
from tfflows.training.batch import Batch


def explain(flow: Flow, batches: Iterable, first_step: int) -> str | None:
    """Train on over the batches until the loss is not finite, and say where it comes from.

    Args:
        flow: compiled, and in the state before `batches`; its weights are changed.
        batches: as `fit` takes them.
        first_step: number of steps before them.

    Returns:
        One sentence, or None where the loss stays finite.
    """
    for step, batch in enumerate(batches, start=first_step + 1):
        parsed = Batch.parse(batch)
        x, condition = parsed.x, parsed.condition
        before = [ops.convert_to_numpy(weight) for weight in flow.weights]
        logs = flow.train_on_batch(batch if condition is not None else x, return_dict=True)
        if np.isfinite(logs["loss"]):
            continue
        for weight, value in zip(flow.weights, before, strict=True):
            weight.assign(value)
        return f"The loss is {logs['loss']} at step {step}: {_first_cause(flow, x, condition)}"
    return None


def _first_cause(flow, x, condition):
    """What is first not finite on the way from the data to the loss."""
    if rows := _bad_rows(x):
        return f"the batch holds NaN or inf in {rows}"
    for weight in flow.weights:
        if not np.isfinite(ops.convert_to_numpy(weight)).all():
            return f"{weight.path} was NaN or inf after the step before, by its gradient"
    for number, layer in enumerate(flow.flow_layers):
        x, log_det = layer.forward_and_log_det(x, condition, training=True)
        for name, value in (("output", x), ("log-det", log_det)):
            if rows := _bad_rows(value):
                return f"the {name} of layer {number}, {layer.name}, is NaN or inf for {rows}"
    return f"the density of the base, {flow.base.name}, is NaN or inf for {_largest(x)}"


def _bad_rows(values):
    values = ops.convert_to_numpy(values)
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if not len(bad):
        return ""
    return f"{len(bad)} of {len(values)} rows of the batch, the first {bad[0]}"


def _largest(z):
    z = np.abs(ops.convert_to_numpy(z)).reshape(len(z), -1).max(axis=1)
    return f"the latents, whose largest is {z.max():.1e} in row {z.argmax()}"
