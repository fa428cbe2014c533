"""The variables of a flow, as TensorFlow Probability finds those of its own objects."""

import keras

from tfflows.training.density import Density


def own_variables(flow: Density) -> tuple:
    """The backend's variables of a flow that train, which a tf.Module collects from an attribute.

    Keras' variables are wrappers, which `trainable_variables` of a tf.Module does not look into. On
    JAX there is no such collection, and none is given.
    """
    if keras.backend.backend() != "tensorflow":
        return ()
    return tuple(variable.value for variable in flow.trainable_variables)
