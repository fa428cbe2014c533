"""Periodic convolutions, and conditioners of lattices that are symmetric in the sign."""

from collections.abc import Sequence

import keras
from keras import ops

from tfflows.backend.tensor_ops import Tensor


def pad_circular(x: Tensor, width: int) -> Tensor:
    """x `[batch, h, w, channels]` continued periodically by `width` on all sides."""
    if not width:
        return x
    x = ops.concatenate([x[:, -width:], x, x[:, :width]], axis=1)
    x = ops.concatenate([x[:, :, -width:], x, x[:, :, :width]], axis=2)
    return x


@keras.saving.register_keras_serializable(package="tfflows")
class CircularConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` on a torus: the left edge is the neighbour of the right one.

    Args:
        filters: output channels.
        kernel_size: side of the square kernel, odd, at most the image's.
        kwargs: those of Conv2D, without strides, padding and dilation.
    """

    def __init__(self, filters: int, kernel_size: int = 3, **kwargs):
        if not isinstance(kernel_size, int):
            kernel_size = kernel_size[0]  # as Keras' config has it
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd. Received: {kernel_size}")
        kwargs = {**kwargs, "padding": "valid"}
        super().__init__(filters, kernel_size, **kwargs)

    def call(self, inputs):
        return super().call(pad_circular(inputs, self.kernel_size[0] // 2))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)


@keras.saving.register_keras_serializable(package="tfflows")
class OddConvNet(keras.layers.Layer):
    """Periodic convolutions whose features change sign with their input.

        h_0 = phi,  h_{i + 1} = tanh(convolution(h_i)) without biases

    `[batch, L, L, channels]` -> `[batch, L, L, filters[-1]]`. As the conditioner of an affine
    coupling it makes a head of log-scales that are even and shifts that are odd in phi: a flow of
    such couplings has a density with p(phi) = p(-phi).

    Args:
        filters: channels of the layers.
        kernel_size: side of the kernels, odd.

    Example:
        network = tfflows.networks.OddConvNet()
        layer = tfflows.layers.AffineCoupling("checkerboard", 0, network, log_scale=10.0)
        flow = tfflows.Flow(layer, event_shape=(8, 8, 1))
    """

    def __init__(self, filters: Sequence[int] = (32, 32), kernel_size: int = 3, **kwargs):
        super().__init__(**kwargs)
        if not filters or min(filters) < 1:
            raise ValueError(f"filters must be positive numbers. Received: {filters!r}")
        self.filters, self.kernel_size = list(filters), kernel_size
        self.convolutions = [
            CircularConv2D(width, kernel_size, use_bias=False, dtype=self.dtype_policy)
            for width in self.filters
        ]

    def build(self, input_shape):
        for layer in self.convolutions:
            layer.build(tuple(input_shape))
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, inputs):
        for layer in self.convolutions:
            inputs = ops.tanh(layer(inputs))
        return inputs

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters[-1])

    def make_head(self, size: int) -> keras.layers.Layer:
        """The layer from features to the `size` parameters of an affine transform."""
        return EvenOddHead(size, self.kernel_size, dtype=self.dtype_policy, name="head")

    def get_config(self):
        config = {"filters": self.filters, "kernel_size": self.kernel_size}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="tfflows")
class EvenOddHead(keras.layers.Layer):
    """Log-scales from the squares of features, and shifts from the features; zero at first.

    Args:
        size: parameters per site, an even number; the first half are log-scales.
        kernel_size: side of the kernels, odd.
    """

    def __init__(self, size: int, kernel_size: int = 3, **kwargs):
        super().__init__(**kwargs)
        if size < 2 or size % 2:
            raise ValueError(
                "OddConvNet is for affine couplings, of two parameters per element. "
                f"Received: {size} parameters"
            )
        self.size, self.kernel_size = size, kernel_size
        settings = {"kernel_initializer": "zeros", "dtype": self.dtype_policy}
        self.log_scale = CircularConv2D(size // 2, kernel_size, **settings)
        self.shift = CircularConv2D(size // 2, kernel_size, use_bias=False, **settings)

    def build(self, input_shape):
        self.log_scale.build(tuple(input_shape))
        self.shift.build(tuple(input_shape))

    def call(self, inputs):
        return ops.concatenate([self.log_scale(ops.square(inputs)), self.shift(inputs)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.size)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "kernel_size": self.kernel_size}
