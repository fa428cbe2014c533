"""Encoders and decoders of VAEs, ready-made: gated layers, dense or convolutional."""

import math
from collections.abc import Sequence

import keras

from tfflows.vae.gated import GatedConv2D, GatedConv2DTranspose, GatedDense


class _Stack(keras.layers.Layer):
    """Layers one after the other; a subclass makes them for an input shape."""

    def _make_layers(self, shape) -> list[keras.layers.Layer]:
        raise NotImplementedError(f"{type(self).__name__} does not define `_make_layers`.")

    def build(self, input_shape):
        self.parts, shape = [], tuple(input_shape)
        for layer in self._make_layers(shape[1:]):
            layer.build(shape)
            shape = tuple(layer.compute_output_shape(shape))
            self.parts.append(layer)
        self._output_shape = shape[1:]

    def call(self, inputs):
        for layer in self.parts:
            inputs = layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._output_shape)


def _sizes(name, values) -> list[int]:
    is_list = isinstance(values, list | tuple)
    if not is_list or not values or any(not isinstance(v, int) or v < 1 for v in values):
        raise ValueError(f"{name} must be a list of positive integers. Received: {values!r}")
    return list(values)


@keras.saving.register_keras_serializable(package="tfflows")
class MLPEncoder(_Stack):
    """Gated dense layers on flattened data: `[batch, *event]` to `[batch, units[-1]]`.

    Args:
        units: width of each layer.
    """

    def __init__(self, units: Sequence[int] = (300, 300), **kwargs):
        super().__init__(**kwargs)
        self.units = _sizes("units", units)

    def _make_layers(self, shape):
        flat = [] if len(shape) == 1 else [keras.layers.Reshape((math.prod(shape),))]
        return [*flat, *(GatedDense(width, dtype=self.dtype_policy) for width in self.units)]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tfflows")
class MLPDecoder(MLPEncoder):
    """Gated dense layers on flattened latents: `[batch, *latent]` to `[batch, units[-1]]`.

    Args:
        units: width of each layer.
    """


class _Convolutions(_Stack):
    def __init__(self, filters, strides, units, kernel_size, kwargs):
        super().__init__(**kwargs)
        self.filters, self.strides = _sizes("filters", filters), _sizes("strides", strides)
        if len(self.filters) != len(self.strides):
            raise ValueError(
                "filters and strides must be as many as each other. "
                f"Received: {self.filters} and {self.strides}"
            )
        self.units, self.kernel_size = units, kernel_size

    def _convolve(self, layer):
        pairs = zip(self.filters, self.strides, strict=True)
        return [layer(f, self.kernel_size, s, dtype=self.dtype_policy) for f, s in pairs]

    def get_config(self):
        names = ("filters", "strides", "units", "kernel_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="tfflows")
class ConvEncoder(_Convolutions):
    """Gated convolutions and a gated dense layer: images to `[batch, units]`.

    The defaults are those of van den Berg et al. (2018, https://arxiv.org/abs/1803.05649).

    Args:
        filters: channels of each convolution.
        strides: of each convolution.
        units: size of the context.
        kernel_size: side of the kernels.
    """

    def __init__(
        self,
        filters: Sequence[int] = (32, 32, 64, 64, 64),
        strides: Sequence[int] = (1, 2, 1, 2, 1),
        units: int = 256,
        kernel_size: int = 5,
        **kwargs,
    ):
        super().__init__(filters, strides, units, kernel_size, kwargs)

    def _make_layers(self, shape):
        if len(shape) != 3:
            raise ValueError(f"Expected images (height, width, channels). Received: {shape}")
        height, width = (-(-side // math.prod(self.strides)) for side in shape[:2])
        return [
            *self._convolve(GatedConv2D),
            keras.layers.Reshape((height * width * self.filters[-1],)),
            GatedDense(self.units, dtype=self.dtype_policy),
        ]


@keras.saving.register_keras_serializable(package="tfflows")
class ConvDecoder(_Convolutions):
    """A gated dense layer and gated transposed convolutions: `[batch, latents]` to images.

    The defaults are those of van den Berg et al. (2018), for the encoder's in reverse.

    Args:
        image_shape: (height, width) of the images, which the product of the strides divides.
        filters: channels of each convolution.
        strides: of each convolution.
        units: channels of the smallest image, which a dense layer makes of z.
        kernel_size: side of the kernels.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        filters: Sequence[int] = (64, 64, 32, 32, 32),
        strides: Sequence[int] = (1, 2, 1, 2, 1),
        units: int = 64,
        kernel_size: int = 5,
        **kwargs,
    ):
        super().__init__(filters, strides, units, kernel_size, kwargs)
        self.image_shape = _sizes("image_shape", image_shape)[:2]
        self._factor = math.prod(self.strides)
        if any(side % self._factor for side in self.image_shape):
            raise ValueError(
                f"The product of the strides, {self._factor}, must divide height and width. "
                f"Received: image_shape={self.image_shape}"
            )

    def _make_layers(self, shape):
        height, width = (side // self._factor for side in self.image_shape)
        return [
            *([] if len(shape) == 1 else [keras.layers.Reshape((math.prod(shape),))]),
            GatedDense(height * width * self.units, dtype=self.dtype_policy),
            keras.layers.Reshape((height, width, self.units)),
            *self._convolve(GatedConv2DTranspose),
        ]

    def get_config(self):
        return {**super().get_config(), "image_shape": self.image_shape}
