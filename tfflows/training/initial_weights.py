"""Whether weights are still those that a model was made with."""

import keras
import numpy as np
from keras import ops

from tfflows.layers.data_dependent_layer import DataDependentLayer

# Training and loading change biases too, which are quick to compare.
MAX_ELEMENTS = 4096


class InitialWeights:
    """The small weights of a model as they are now, to find out later whether it was trained.

    Args:
        model: a built model.
    """

    def __init__(self, model: keras.Model):
        weights = [w for w in model.weights if np.prod(w.shape, dtype="int64") <= MAX_ELEMENTS]
        self._values = {id(weight): ops.convert_to_numpy(weight).copy() for weight in weights}

    def differ(self, model: keras.Model) -> bool:
        """Whether weights of `model` have changed: a user's loop trained them, or they were loaded
        or assigned. Statistics that layers have taken do not count.
        """
        taken = set()
        for layer in model._flatten_layers():
            if isinstance(layer, DataDependentLayer) and not layer.needs_adapt:
                taken |= {id(weight) for weight in layer.weights}
        return any(
            id(weight) not in taken
            and id(weight) in self._values
            and not np.array_equal(ops.convert_to_numpy(weight), self._values[id(weight)])
            for weight in model.weights
        )
