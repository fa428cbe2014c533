"""Gated layers: h(x) sigmoid(g(x)) (Dauphin et al. 2017; van den Berg et al. 2018)."""

from typing import Any

import keras
from keras import ops


class _Gated(keras.layers.Layer):
    """A linear layer of twice the outputs, one half of which gates the other.

    Args:
        linear: the layer that makes both halves, along the last axis.
    """

    def __init__(self, linear: keras.layers.Layer, **kwargs):
        super().__init__(**kwargs)
        self.linear = linear

    def build(self, input_shape):
        self.linear.build(input_shape)

    def call(self, inputs):
        values, gates = ops.split(self.linear(inputs), 2, axis=-1)
        return values * ops.sigmoid(gates)

    def compute_output_shape(self, input_shape):
        *shape, channels = self.linear.compute_output_shape(input_shape)
        return (*shape, channels // 2)


@keras.saving.register_keras_serializable(package="tfflows")
class GatedDense(_Gated):
    """`[batch, features]` to `[batch, units]`.

    Args:
        units: outputs.
    """

    def __init__(self, units: int, **kwargs: Any):
        policy = kwargs.get("dtype")
        super().__init__(keras.layers.Dense(2 * units, dtype=policy), **kwargs)
        self.units = units

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class _GatedConvolution(_Gated):
    def __init__(self, convolution, filters, kernel_size, strides, kwargs):
        policy = kwargs.get("dtype")
        layer = convolution(2 * filters, kernel_size, strides, padding="same", dtype=policy)
        super().__init__(layer, **kwargs)
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides

    def get_config(self):
        config = {n: getattr(self, n) for n in ("filters", "kernel_size", "strides")}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="tfflows")
class GatedConv2D(_GatedConvolution):
    """`[batch, height, width, channels]` to `[batch, height / strides, width / strides, filters]`.

    Args:
        filters: output channels.
        kernel_size: side of the kernel.
        strides: of both axes.
    """

    def __init__(self, filters: int, kernel_size: int = 5, strides: int = 1, **kwargs: Any):
        super().__init__(keras.layers.Conv2D, filters, kernel_size, strides, kwargs)


@keras.saving.register_keras_serializable(package="tfflows")
class GatedConv2DTranspose(_GatedConvolution):
    """`[batch, height, width, channels]` to `[batch, strides height, strides width, filters]`.

    Args:
        filters: output channels.
        kernel_size: side of the kernel.
        strides: of both axes.
    """

    def __init__(self, filters: int, kernel_size: int = 5, strides: int = 1, **kwargs: Any):
        super().__init__(keras.layers.Conv2DTranspose, filters, kernel_size, strides, kwargs)
