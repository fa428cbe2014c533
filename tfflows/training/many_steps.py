"""Many steps in one compiled call: a loop over batches that lie on the device.

Keras calls its compiled step once per batch, on JAX always and on TensorFlow from a loop that XLA
does not compile. For a small flow a call, with its hundreds of arrays, takes longer than the step.

On a CPU XLA makes the gradient of a convolution up to a hundred times slower within a loop: stacks
that have room for one batch are compiled without one, and `steps_per_execution` says when.
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

    @property
    def is_single(self) -> bool:
        """Whether there is room for one batch only."""
        stacked = keras.tree.flatten(self.data if self.rows is None else self.rows)
        return next(array for array in stacked if array is not None).shape[0] == 1

    def first(self) -> "Stack":
        """The first batch, with room for no other."""
        if self.rows is not None:
            return Stack(self.data, self.rows[:1], self.count)
        first = keras.tree.map_structure(lambda a: None if a is None else a[:1], self.data)
        return Stack(first, None, self.count)


class Group(NamedTuple):
    """The batches of one call, in order."""

    stacks: tuple[Stack, ...]


def takes_groups(model: keras.Model) -> bool:
    """Whether the model's steps can be compiled into loops: where it is compiled, on one device.

    With several devices Keras' own loop places the batches on them.
    """
    if not model.compiled or model.run_eagerly:
        return False
    if keras.backend.backend() == "tensorflow":
        return model._distribute_strategy is None
    is_alone = keras.distribution.distribution() is None and not keras.config.is_nnx_enabled()
    return bool(model.jit_compile) and is_alone


def group_function_on_jax(step: Callable) -> Callable[[Any, Iterator], tuple]:
    """A function `(state, iterator) -> logs, state`, as Keras' trainer calls it.

    It takes a `Group` off the iterator, or one batch as Keras makes them, and donates the state.

    Args:
        step: pure function `(state, batch) -> logs, state`.
    """
    import jax

    one_step = jax.jit(step)  # whose trace is shared by what is below

    def batch(stack, i):
        place = i if stack.rows is None else stack.rows[i]
        return jax.tree.map(lambda array: array.at[place].get(mode="promise_in_bounds"), stack.data)

    def steps(state, stack):
        def body(i, carry):
            return one_step(carry[1], batch(stack, i))

        if stack.is_single:
            return one_step(state, batch(stack, 0))
        logs, _ = jax.eval_shape(one_step, state, batch(stack, 0))
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


def group_function_on_tensorflow(
    step: Callable, logs: Callable | None, keras_function: Callable, jit: bool
) -> Callable[[Iterator], Any]:
    """A function `iterator -> logs`, as Keras' trainer calls it.

    It takes a `Group` off the iterator; iterators of single batches go to Keras' own function.

    Args:
        step: function `batch -> logs`, which assigns to the model's variables.
        logs: function `() -> logs` that gives those of the last step; None where only the step
            knows them, which is then traced once more.
        keras_function: Keras' function of the same step.
        jit: whether XLA compiles the loop.
    """
    import tensorflow as tf

    @tf.function(jit_compile=jit, autograph=False)
    def steps(stack):
        def batch(i):
            place = i if stack.rows is None else stack.rows[i]
            return tf.nest.map_structure(
                lambda array: None if array is None else tf.gather(array, place), stack.data
            )

        if stack.is_single:
            step_logs = step(batch(0))
            return step_logs if logs is None else logs()

        def body(i, _):
            step_logs = step(batch(i))
            with tf.control_dependencies(tf.nest.flatten(step_logs)):
                return i + 1, step_logs if logs is None else ()

        first = ()
        if logs is None:
            specs = tf.function(step).get_concrete_function(batch(0)).structured_outputs
            first = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), specs)
        last = tf.while_loop(lambda i, _: i < stack.count, body, (0, first))[1]
        return last if logs is None else logs()

    def tensor_or_none(array):
        return None if array is None else tf.convert_to_tensor(array)

    def function(iterator):
        if isinstance(iterator, tf.data.Iterator):
            return keras_function(iterator)
        group = next(iterator)
        if not isinstance(group, Group):
            return keras_function(iter([group]))
        logs = None
        for stack in group.stacks:
            logs = steps(tf.nest.map_structure(tensor_or_none, stack))
        return logs

    return function
