"""Random weights: a layer that starts as the identity proves nothing."""

from typing import TypeVar

import keras
import numpy as np
from keras import ops

Layer = TypeVar("Layer", bound=keras.layers.Layer)


def randomize(layer: Layer, seed: int = 0, spread: float = 0.3) -> Layer:
    """Give a built layer or model random weights, the same on every backend.

    Weights are normal with standard deviation `spread`. Weights named `std` or `running_variance`
    are log-normal, and `adapted` becomes 1. A weight with a Keras constraint is put through it.
    Integers, such as the states of seed generators, stay as they are.

    Args:
        layer: what has the weights; they are changed in place.
        seed: integer seed.
        spread: standard deviation of the weights, or of their logs.

    Returns:
        The layer.

    Example:
        >>> from tfflows import layers, testing
        >>> scaling = layers.DiagonalScaling()
        >>> scaling.build((None, 2))
        >>> bool((testing.randomize(scaling).log_scale.numpy() != 0).all())
        True
    """
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        values = spread * rng.normal(size=weight.shape)
        if weight.name in ("std", "running_variance"):
            values = np.exp(values)
        if weight.name == "adapted":
            values = np.ones(())
        if not keras.backend.is_float_dtype(weight.dtype):
            continue
        values = ops.cast(values, weight.dtype)
        constraint = getattr(weight, "constraint", None)
        weight.assign(values if constraint is None else constraint(values))
    return layer
