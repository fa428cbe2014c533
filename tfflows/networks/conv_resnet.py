"""Convolutional residual network (He et al. 2016), as in RealNVP section 3.2 and 4.1."""

import keras

from tfflows.backend.activations import get_activation
from tfflows.networks.lattice_conv import CircularConv2D
from tfflows.networks.weight_norm import WeightNormConv2D

PADDINGS = ("same", "circular")


@keras.saving.register_keras_serializable(package="tfflows")
class ConvResNet(keras.layers.Layer):
    """Residual blocks at one resolution: `[batch, h, w, channels]` -> `[batch, h, w, filters]`.

        h = conv(x);   h = h + conv(act(conv(act(h)))) in each block;   features = act(h)

    Args:
        filters: channels of every convolution.
        num_blocks: residual blocks of two 3x3 convolutions.
        activation: name of a Keras activation.
        weight_norm: whether convolutions are weight-normalised, as in RealNVP.
        padding: "same" continues images by zeros, "circular" periodically, so that the features of
            a shifted image are the shifted features, as on a lattice.
    """

    def __init__(
        self,
        filters: int = 32,
        num_blocks: int = 2,
        activation: str = "relu",
        weight_norm: bool = False,
        padding: str = "same",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if filters < 1 or num_blocks < 0:
            raise ValueError(
                "filters must be positive and num_blocks not negative. "
                f"Received: filters={filters}, num_blocks={num_blocks}"
            )
        if padding not in PADDINGS:
            raise ValueError(f"padding must be one of {PADDINGS}. Received: {padding!r}")
        self.filters = filters
        self.num_blocks = num_blocks
        self.activation = activation
        self.weight_norm = weight_norm
        self.padding = padding
        self.convolutions = [self._convolution() for _ in range(1 + 2 * num_blocks)]
        self._activate = get_activation(activation)

    def _convolution(self):
        if self.weight_norm:
            return WeightNormConv2D(self.filters, 3, self.padding, dtype=self.dtype_policy)
        if self.padding == "circular":
            return CircularConv2D(self.filters, 3, dtype=self.dtype_policy)
        return keras.layers.Conv2D(self.filters, 3, padding="same", dtype=self.dtype_policy)

    def build(self, input_shape):
        first, *rest = self.convolutions
        first.build(tuple(input_shape))
        for layer in rest:
            layer.build((*input_shape[:-1], self.filters))

    def call(self, inputs):
        first, *rest = self.convolutions
        hidden = first(inputs)
        for inner, outer in zip(rest[::2], rest[1::2], strict=True):
            hidden = hidden + outer(self._activate(inner(self._activate(hidden))))
        return self._activate(hidden)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "num_blocks": self.num_blocks,
            "activation": self.activation,
            "weight_norm": self.weight_norm,
            "padding": self.padding,
        }
