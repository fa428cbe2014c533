"""Jacobians and gradients by the backend's automatic differentiation."""

import types
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend.autodiff import value_and_pullback
from tfflows.backend.compilation import compile_method


def jacobian_and_log_det(
    function: Callable, size: int, x: np.ndarray, *others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The Jacobian dy[n].ravel() / dx[n].ravel(), `[n, size, in]`, of y, log_det = function(x).

    Row n of y must depend on row n of the inputs only: each row is repeated once per element of y,
    so that one pass back gives all rows of the Jacobian.

    Args:
        function: (x, *others) -> y `[n, ...]`, log_det `[n]`.
        size: number of elements of y per row.
        x: where to differentiate, `[n, ...]`.
        *others: further arguments `[n, ...]`, such as a condition.

    Returns:
        The Jacobian, and the log_det of the repeated rows, `[n * size]`.
    """
    n = len(x)

    def evaluate(x, *others):
        def outputs(x):
            y, log_det = function(x, *others)
            return ops.reshape(y, (n * size, size)), log_det

        (y, log_det), pullback = value_and_pullback(outputs, [x])
        units = ops.tile(ops.eye(size, dtype=y.dtype), (n, 1))
        return pullback(units, ops.zeros_like(log_det))[0], log_det

    repeated = [ops.convert_to_tensor(np.repeat(array, size, axis=0)) for array in (x, *others)]
    if keras.backend.backend() == "jax":  # one operation at a time, JAX compiles each
        evaluate = compile_method(types.SimpleNamespace(weights=[]), evaluate, jit=True)
    jacobian, log_det = (ops.convert_to_numpy(tensor) for tensor in evaluate(*repeated))
    return jacobian.reshape(n, size, -1), log_det


def value_and_gradients(function: Callable, weights: Sequence[keras.Variable]) -> Callable:
    """A function of tensors that gives the outputs of `function`, and the gradients of their sum.

    Args:
        function: tensors to a tuple of tensors.
        weights: what to differentiate in beside the tensors.

    Returns:
        tensors -> (outputs, gradients), with a gradient for each tensor, then each weight.
    """

    def evaluate(*tensors):
        values = [ops.convert_to_tensor(weight.value) for weight in weights]

        def outputs(*inputs):
            mapping = list(zip(weights, inputs[len(tensors) :], strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return tuple(function(*inputs[: len(tensors)]))

        results, pullback = value_and_pullback(outputs, [*tensors, *values])
        return results, pullback(*[ops.ones_like(result) for result in results])

    if keras.backend.backend() == "jax":  # one operation at a time, JAX compiles each
        return compile_method(types.SimpleNamespace(weights=list(weights)), evaluate, jit=True)
    return lambda *arrays: evaluate(*[ops.convert_to_tensor(array) for array in arrays])
