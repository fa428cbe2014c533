"""Weight normalisation (Salimans and Kingma 2016)."""

import keras
from keras import ops

from tfflows.networks.lattice_conv import pad_circular


@keras.saving.register_keras_serializable(package="tfflows")
class WeightNormConv2D(keras.layers.Layer):
    """A convolution that keeps height and width, with kernel gain v / |v| (equation 2).

    `[batch, height, width, channels]` -> `[batch, height, width, filters]`. The norm is taken over
    all weights of a filter; each gain starts as the norm of its filter, so that the layer begins
    as a plain convolution.

    Args:
        filters: output channels.
        kernel_size: side of the square kernel.
        padding: "same", by zeros, or "circular".
    """

    def __init__(self, filters: int, kernel_size: int = 3, padding: str = "same", **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.padding = padding

    def build(self, input_shape):
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.v = self.add_weight(name="v", shape=shape, initializer="glorot_uniform")
        self.gain = self.add_weight(name="gain", shape=(self.filters,), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.gain.assign(self._norm(self.v.value))

    @staticmethod
    def _norm(v):
        return ops.sqrt(ops.sum(ops.square(v), axis=(0, 1, 2)) + 1e-12)

    def call(self, inputs):
        kernel = self.v * (self.gain / self._norm(self.v))
        if self.padding == "circular":
            inputs = pad_circular(inputs, self.kernel_size // 2)
            return ops.conv(inputs, kernel, padding="valid") + self.bias
        return ops.conv(inputs, kernel, padding="same") + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        config = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "padding": self.padding,
        }
        return {**super().get_config(), **config}
