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
