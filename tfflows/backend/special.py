"""Special functions that `keras.ops` lacks or rounds, a case a backend."""

import keras

from tfflows.backend.tensor_ops import Tensor


def lgamma(x: Tensor) -> Tensor:
    """log |Gamma(x)| of each element."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.math.lgamma(x)
    import jax

    return jax.scipy.special.gammaln(x)


def tanh(x: Tensor) -> Tensor:
    """tanh of each element; `keras.ops.tanh` rounds float64 to float32 on JAX."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.math.tanh(x)
    from jax import numpy as jnp

    return jnp.tanh(x)
