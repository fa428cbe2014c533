"""Multilayer perceptron."""

from collections.abc import Sequence

import keras

from tfflows.backend.activations import get_activation


@keras.saving.register_keras_serializable(package="tfflows")
class MLP(keras.layers.Layer):
    """Dense layers with an activation after each: `[batch, features]` -> `[batch, units[-1]]`.

    Args:
        units: width of each layer, at least one.
        activation: name of a Keras activation.
    """

    def __init__(self, units: Sequence[int] = (256, 256), activation: str = "relu", **kwargs):
        super().__init__(**kwargs)
        is_list = isinstance(units, list | tuple)
        if not is_list or not units or any(not isinstance(u, int) or u < 1 for u in units):
            raise ValueError(f"units must be a list of positive widths. Received: {units!r}")
        self.units = [int(width) for width in units]
        self.activation = activation
        function = get_activation(activation)
        self.hidden = [
            keras.layers.Dense(width, function, dtype=self.dtype_policy) for width in self.units
        ]

    def build(self, input_shape):
        shape = tuple(input_shape)
        for layer in self.hidden:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, inputs):
        for layer in self.hidden:
            inputs = layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units[-1])

    def get_config(self):
        return {**super().get_config(), "units": self.units, "activation": self.activation}
