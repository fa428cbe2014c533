"""Many steps in one compiled call on JAX: a loop over batches that lie on the device.

Keras calls its compiled step once per batch. For a small flow on JAX the call alone, with its
hundreds of arrays, takes longer than the step.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras


class Stack(NamedTuple):
    """Batches of one shape.

    Attributes:
        data: arrays `[size, batch, ...]` where `rows` is None, or of all rows, `[n, ...]`.
        rows: numbers of the rows of each batch, int32 `[size, batch]`, or None.
        count: how many of the `size` batches there are; the rest is padding, so that a smaller
            group needs no compilation.
    """

    data: Any
    rows: Any
    count: Any


class Group(NamedTuple):
    """The batches of one call, in order."""

    stacks: tuple[Stack, ...]


def takes_groups(model: keras.Model) -> bool:
    """Whether the model's steps are compiled into loops: on JAX, on one device.

    Under a `keras.distribution` Keras' own loop of calls places the batches on the devices.
    """
    return (
        keras.backend.backend() == "jax"
        and bool(model.jit_compile)
        and not model.run_eagerly
        and keras.distribution.distribution() is None
        and not keras.config.is_nnx_enabled()
    )


def make_group_function(step: Callable) -> Callable[[Any, Iterator], tuple]:
    """A function `(state, iterator) -> logs, state`, as Keras' trainer calls it.

    It takes a `Group` off the iterator, or one batch as Keras makes them, and donates the state.

    Args:
        step: pure function `(state, batch) -> logs, state`.
    """
    import jax

    one_step = jax.jit(step)  # whose trace is shared by what is below

    def steps(state, stack):
        def batch(i):
            place = i if stack.rows is None else stack.rows[i]
            return jax.tree.map(
                lambda array: array.at[place].get(mode="promise_in_bounds"), stack.data
            )

        def body(i, carry):
            return one_step(carry[1], batch(i))

        logs, _ = jax.eval_shape(one_step, state, batch(0))
        logs = jax.tree.map(lambda log: jax.numpy.zeros(log.shape, log.dtype), logs)
        return jax.lax.fori_loop(0, stack.count, body, (logs, state))

    compiled_steps = jax.jit(steps, donate_argnums=0)
    compiled_step = jax.jit(step, donate_argnums=0)

    def function(state, iterator):
        group = next(iterator)
        if not isinstance(group, Group):
            return compiled_step(state, group)
        logs = None
        for stack in group.stacks:
            logs, state = compiled_steps(state, stack)
        return logs, state

    return function
