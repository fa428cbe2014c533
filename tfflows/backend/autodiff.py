"""Derivatives within a layer's formulas: the backend's own differentiation, a case a backend."""

from collections.abc import Callable, Sequence

import keras

from tfflows.backend.tensor_ops import Tensor


def value_and_pullback(function: Callable, inputs: Sequence[Tensor]) -> tuple:
    """Outputs of `function(*inputs)`, and what maps cotangents of them to gradients of the inputs.

    Args:
        function: tensors to a tuple of tensors.
        inputs: what to differentiate in.

    Returns:
        The outputs, and a function of as many cotangents that gives as many gradients as there
        are inputs. It is differentiable itself.
    """
    inputs = tuple(inputs)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            outputs = tuple(function(*inputs))

        def pullback(*cotangents):
            zero = tf.UnconnectedGradients.ZERO
            return tape.gradient(outputs, inputs, list(cotangents), unconnected_gradients=zero)

        return outputs, pullback
    import jax

    outputs, vjp = jax.vjp(lambda *tensors: tuple(function(*tensors)), *inputs)
    return outputs, lambda *cotangents: vjp(tuple(cotangents))


def with_gradient(function: Callable, backward: Callable, inputs: Sequence[Tensor]) -> tuple:
    """`function(*inputs)`, whose gradient is `backward(inputs, outputs, cotangents)`.

    Args:
        function: tensors to a tuple of tensors; reads no variable.
        backward: gives a gradient for each input.
        inputs: tensors.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.custom_gradient
        def differentiable(*inputs):
            outputs = tuple(function(*inputs))
            return outputs, lambda *cotangents: tuple(backward(inputs, outputs, cotangents))

        return differentiable(*inputs)
    import jax

    differentiable = jax.custom_vjp(lambda *inputs: tuple(function(*inputs)))

    def forward(*inputs):
        outputs = tuple(function(*inputs))
        return outputs, (inputs, outputs)

    differentiable.defvjp(
        forward, lambda kept, cotangents: tuple(backward(*kept, tuple(cotangents)))
    )
    return differentiable(*inputs)


def fixed_point(step: Callable, solve: Callable, start: Tensor) -> Tensor:
    """x of `start`'s shape with step(x) = x, found by `solve()` in loops without a gradient.

    An element of step(x) must depend only on those before it in some order of the last axis. JAX
    differentiates what x is instead of how it was found: dx = d(step) + Jacobian dx, whose sweeps
    from dx = 0 are exact after as many as there are elements. TensorFlow differentiates
    `compilation.compile_region`.
    """
    if keras.backend.backend() == "tensorflow":
        return solve()
    import jax
    from jax import numpy as jnp

    limit = start.shape[-1]

    def solve_linear(residual, target):  # residual(v) = Jacobian v - v
        def unfinished(state):
            count, is_changing, _ = state
            return jnp.logical_and(count < limit, is_changing)

        def sweep(state):
            count, _, v = state
            new = residual(v) + v - target
            return count + 1, jnp.any(new != v), new

        return jax.lax.while_loop(unfinished, sweep, (0, True, jnp.zeros_like(target)))[2]

    return jax.lax.custom_root(
        lambda x: step(x) - x,
        start,
        lambda _, x: solve(),
        lambda residual, target: jax.lax.custom_linear_solve(
            residual, target, solve_linear, solve_linear
        ),
    )
