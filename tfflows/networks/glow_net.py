"""Glow's conditioner (Kingma and Dhariwal 2018, section 3.3)."""

import keras
from keras import ops

from tfflows.backend.activations import get_activation
from tfflows.backend.compilation import is_under_xla
from tfflows.networks.conv3x3 import patches_pay, product_of_patches
from tfflows.networks.zero_conv import ZeroConv2D


@keras.saving.register_keras_serializable(package="tfflows")
class GlowNet(keras.layers.Layer):
    """A 3x3 and a 1x1 convolution, and for the parameters a 3x3 one that starts at zero.

        features = relu(conv1x1(relu(conv3x3(x))));   parameters = make_head(size)(features)

    `[batch, height, width, channels]` -> `[batch, height, width, filters]`. A coupling asks its
    conditioner for the head, where it has one to give.

    Args:
        filters: channels of the hidden convolutions; 0 leaves them out, and the head stands on x:
            Glow's prior of a factored-out half given the other.
        activation: name of a Keras activation.
    """

    def __init__(self, filters: int = 512, activation: str = "relu", **kwargs):
        super().__init__(**kwargs)
        if filters < 0:
            raise ValueError(f"filters must not be negative. Received: {filters}")
        self.filters = filters
        self.activation = activation
        self.hidden = []
        if filters:
            settings = {
                "activation": get_activation(activation),
                "kernel_initializer": "he_normal",
                "dtype": self.dtype_policy,
            }
            self.hidden = [
                keras.layers.Conv2D(filters, 3, padding="same", name="conv", **settings),
                # A 1x1 convolution is a product of matrices, which is faster.
                keras.layers.Dense(filters, name="dense", **settings),
            ]

    def build(self, input_shape):
        shape = tuple(input_shape)
        for layer in self.hidden:
            layer.build(shape)
            shape = (*shape[:-1], self.filters)

    def call(self, inputs):
        if not self.hidden:
            return inputs
        conv, dense = self.hidden
        if is_under_xla():
            by_patches = patches_pay(conv.kernel.shape)
            return dense(self._conv_by_patches(conv, inputs) if by_patches else conv(inputs))
        x = conv(inputs)
        # As a matrix: TensorFlow's graphs join product, bias and activation only there.
        return ops.reshape(dense(ops.reshape(x, (-1, self.filters))), (-1, *x.shape[1:]))

    def _conv_by_patches(self, conv, inputs):
        x = product_of_patches(inputs, ops.convert_to_tensor(conv.kernel))
        x = conv.activation(x + conv.bias)  # XLA is a fifth slower where this follows `reshape`
        return ops.reshape(x, (-1, *inputs.shape[1:-1], self.filters))

    def make_head(self, size: int) -> keras.layers.Layer:
        """The layer from features to `size` parameters a position."""
        return ZeroConv2D(size, 3, dtype=self.dtype_policy, name="head")

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters or input_shape[-1])

    def get_config(self):
        config = {"filters": self.filters, "activation": self.activation}
        return {**super().get_config(), **config}
