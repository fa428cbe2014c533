"""Compiled calls of a model's methods: the backend's own way of tracing, a case a backend."""

from collections.abc import Callable
from functools import partial

import keras


def is_traced(*tensors) -> bool:
    """Whether a call with these tensors stands inside a function that is being traced."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.inside_function()
    import jax

    return any(isinstance(tensor, jax.core.Tracer) for tensor in tensors)


def compile_method(
    model: keras.Model, method: Callable, jit: bool, takes_count: bool = False
) -> Callable:
    """`method(*tensors)` as one compiled function that always sees the model's current weights.

    Args:
        model: the model whose variables the method reads; it may assign to none.
        method: pure function of tensors (or None) in the model's weights.
        jit: whether TensorFlow compiles by XLA, once a batch size; JAX always does.
        takes_count: whether the first argument is an integer, a number of rows to make.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        function = tf.function(method, jit_compile=jit, autograph=False, reduce_retracing=not jit)
        if jit or not takes_count:
            return function
        return lambda count, *args: function(tf.constant(count), *args)  # no trace a count
    import jax

    @partial(jax.jit, static_argnums=1 if takes_count else ())
    def stateless(values, *args):
        with keras.StatelessScope(state_mapping=list(zip(model.variables, values, strict=True))):
            return method(*args)

    return lambda *args: stateless([v.value for v in model.variables], *args)


def check_dtype(dtype: str) -> None:
    """Raise ValueError for float64 where JAX would silently compute in float32."""
    if dtype != "float64" or keras.backend.backend() != "jax":
        return
    import jax

    if not jax.config.jax_enable_x64:
        raise ValueError(
            "float64 on the JAX backend wants the environment variable JAX_ENABLE_X64=1. "
            "Received: a flow of dtype float64 without it"
        )
