"""Special functions that `keras.ops` lacks, a case a backend."""

import keras

from tfflows.backend.tensor_ops import Tensor


def lgamma(x: Tensor) -> Tensor:
    """log |Gamma(x)| of each element."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.math.lgamma(x)
    import jax

    return jax.scipy.special.gammaln(x)
