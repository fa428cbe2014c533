"""Activations of networks that keep NaN on every backend and in every mode."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfflows.backend.compilation import is_under_xla


def get_activation(activation: Any) -> Callable:
    """`keras.activations.get`, with a ReLU that gives NaN for NaN.

    TensorFlow's graphs join a product, its bias and a ReLU to one operation, which gives 0 for NaN:
    a NaN in a weight or a condition would end in a finite density. Apart they keep it.

    Args:
        activation: a name, a function or a Keras layer, as Keras takes them.
    """
    function: Any = keras.activations.get(activation)
    if keras.backend.backend() == "tensorflow":
        return _REPLACEMENTS.get(function) or function
    return function


def _relu(x):
    if is_under_xla():
        return ops.relu(x)
    import tensorflow as tf

    return tf.nn.relu(tf.ensure_shape(x, x.shape))  # with which it is not joined


def _relu6(x):
    return ops.minimum(_relu(x), ops.cast(6.0, x.dtype))


_REPLACEMENTS: dict[Any, Callable] = {
    keras.activations.relu: _relu,
    keras.activations.relu6: _relu6,
}
