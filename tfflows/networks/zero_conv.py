"""Convolutions that start at zero (Kingma and Dhariwal 2018, Glow, section 3.3)."""

import keras
from keras import ops

from tfflows.networks.conv3x3 import shifts_pay, sum_of_shifts


@keras.saving.register_keras_serializable(package="tfflows")
class ZeroConv2D(keras.layers.Layer):
    """A convolution whose weights start at zero, with a gain a filter: the end of a conditioner.

        y = (conv(x) + bias) exp(3 log_gain)

    `[batch, height, width, channels]` -> `[batch, height, width, filters]`. The gain lets a filter
    grow faster than its kernel does; the factor 3 is that of the authors' code.

    Args:
        filters: output channels.
        kernel_size: side of the square kernel.
    """

    def __init__(self, filters: int, kernel_size: int = 3, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size

    def build(self, input_shape):
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.log_gain = self.add_weight(name="log_gain", shape=(self.filters,), initializer="zeros")

    def call(self, inputs):
        # The gain on the weights, which are few, instead of the outputs.
        gain = ops.exp(3.0 * self.log_gain)
        kernel = ops.convert_to_tensor(self.kernel) * gain
        if shifts_pay(kernel.shape):
            outputs = sum_of_shifts(inputs, kernel)
        else:
            outputs = ops.conv(inputs, kernel, padding="same")
        return outputs + self.bias * gain

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        config = {"filters": self.filters, "kernel_size": self.kernel_size}
        return {**super().get_config(), **config}
