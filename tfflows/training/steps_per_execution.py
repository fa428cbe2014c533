"""How many steps one compiled call makes, where `compile` leaves that to `fit`.

A call costs a fraction of a millisecond: callbacks, the progress bar, handing over hundreds of
arrays. Calls of `SECONDS` make that small, and leave the progress bar alive.
"""

import contextlib
import time
from typing import Any

import keras
import numpy as np

from tfflows.backend.device_choice import runs_on_cpu
from tfflows.training.many_steps import Group

AUTO = "auto"
SECONDS = 0.2  # per call
MAX_STEPS = 64  # per call
MEASURED_SECONDS = 0.5  # after which no more steps are spent on a measurement
MIN_STEPS = 50  # of a training, below which none is spent on a measurement
MAX_LOOP_RATIO = 1.5  # of a step within a loop to one outside, above which calls make one step


def steps_of_a_call(seconds: float, steps_per_epoch: int) -> int:
    """Steps per call for steps of `seconds`, so that the calls of an epoch are about equal."""
    most = max(1, min(int(SECONDS / seconds), MAX_STEPS, steps_per_epoch))
    calls = -(-steps_per_epoch // most)
    return -(-steps_per_epoch // calls)


def looks_at_batches(callbacks: Any) -> bool:
    """Whether a callback wants to be called after each step: one of the user's own with a method
    for it, or a log of each batch.

    Args:
        callbacks: one, a list, a CallbackList, or None.
    """
    each = getattr(callbacks, "callbacks", callbacks)
    each = [each] if isinstance(each, keras.callbacks.Callback) else list(each or [])
    return any(
        getattr(callback, "update_freq", "epoch") != "epoch" or _has_own_method(callback)
        for callback in each
    )


def _has_own_method(callback):
    names = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    methods = [getattr(callback, name) for name in names]
    modules = [str(getattr(method, "__module__", "")).split(".")[0] for method in methods]
    return any(module not in ("keras", "tfflows") for module in modules)


def loops_may_be_slow(model: Any) -> bool:
    """Whether XLA may take much longer for a step within a loop: for convolutions on a CPU, see
    `many_steps`.
    """
    return len(model.event_shape) > 1 and bool(model.jit_compile) and runs_on_cpu()


def seconds_within_a_call(model: Any, group: Group) -> float | None:
    """Time of one training step in a call of many, or None where steps by themselves are faster.

    Args:
        model, group: as of `seconds_per_step`.
    """
    if not loops_may_be_slow(model):
        return seconds_per_step(model, group)
    alone = seconds_per_step(model, Group((group.stacks[0].first(),)))
    if alone > SECONDS / 2:
        return None
    within = seconds_per_step(model, group)
    return within if within < MAX_LOOP_RATIO * alone else None


def seconds_per_step(model: keras.Model, group: Group) -> float:
    """Time of one training step, whose results are forgotten; compiles what `fit` calls.

    Args:
        model: with its `train_function` and a built optimizer.
        group: what has the batches.
    """
    steps = _steps_on_jax if keras.backend.backend() == "jax" else _steps_on_tensorflow
    stack = group.stacks[0]
    with steps(model) as make_steps:
        one = Group((stack._replace(count=np.int32(1)),))
        none = one if stack.is_single else Group((stack._replace(count=np.int32(0)),))
        make_steps(none)  # compiles
        seconds: list[float] = []
        while len(seconds) < 5 and sum(seconds) < MEASURED_SECONDS:  # the first is slower
            start = time.perf_counter()
            make_steps(one)
            seconds.append(time.perf_counter() - start)
    return min(seconds)


@contextlib.contextmanager
def _steps_on_jax(model):
    import jax

    state = jax.tree.map(
        lambda array: jax.numpy.array(array, copy=True),
        model._get_jax_state(
            trainable_variables=True,
            non_trainable_variables=True,
            optimizer_variables=True,
            metrics_variables=True,
        ),
    )

    def make_steps(group):
        nonlocal state
        logs, state = model.train_function(state, iter([group]))
        jax.block_until_ready(logs)

    yield make_steps


@contextlib.contextmanager
def _steps_on_tensorflow(model):
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    values = [keras.ops.copy(variable.value) for variable in variables]

    def make_steps(group):
        keras.tree.map_structure(np.asarray, model.train_function(iter([group])))

    try:
        yield make_steps
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
