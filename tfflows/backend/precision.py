"""The precision of products of matrices."""

import contextlib

import keras
from keras import ops

from tfflows.backend.tensor_ops import Tensor


def full_precision() -> contextlib.AbstractContextManager:
    """Say that products of float32 that are traced within are computed in float32.

    On a GPU JAX's default is TF32, of 10 bits: an inverse would differ from what it inverts by
    1e-3. TensorFlow has one switch for the whole process, which is left to its owner
    (`tf.config.experimental.enable_tensor_float_32_execution`). On CPUs there is no difference.
    """
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


def precise_matmul(a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices under `full_precision`: of data with what has to be inverted."""
    with full_precision():
        return ops.matmul(a, b)
