"""Squeeze space into channels (Dinh et al. 2017, RealNVP, section 3.6)."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Squeeze(FlowLayer):
    """Turn each `factor` x `factor` block of pixels into channels; log-det zero.

    x `[batch, height, width, channels]` becomes z
    `[batch, height / factor, width / factor, factor**2 * channels]`.

    Args:
        factor: side of a block, at least 2, that divides height and width.
    """

    def __init__(self, factor: int = 2, **kwargs):
        super().__init__(**kwargs)
        if factor < 2:
            raise ValueError(f"factor must be at least 2. Received: {factor}")
        self.factor = factor

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if len(self.event_shape) != 3 or any(side % self.factor for side in self.event_shape[:2]):
            raise ValueError(
                f"Squeeze({self.factor}) expects x of shape [batch, height, width, channels] with "
                f"height and width that {self.factor} divides. Received: {tuple(x_shape)}"
            )

    def latent_event_shape(self, event_shape):
        height, width, channels = event_shape
        f = self.factor
        return (height // f, width // f, f * f * channels)

    def data_event_shape(self, latent_shape):
        if len(latent_shape) != 3 or latent_shape[2] % self.factor**2:
            raise ValueError(
                f"Squeeze({self.factor}) expects z of shape [batch, height, width, channels] with "
                f"channels that {self.factor**2} divides. Received: latent of shape {latent_shape}"
            )
        height, width, channels = latent_shape
        f = self.factor
        return (height * f, width * f, channels // f**2)

    def _forward(self, x, condition=None, training=False):
        height, width, channels = self.latent_event_shape(self.event_shape)
        f = self.factor
        blocks = ops.reshape(x, (-1, height, f, width, f, channels // f**2))
        blocks = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
        return ops.reshape(blocks, (-1, height, width, channels)), repeat_log_det(0.0, x)

    def _inverse(self, z, condition=None, training=False):
        height, width, channels = self.latent_event_shape(self.event_shape)
        f = self.factor
        blocks = ops.reshape(z, (-1, height, width, f, f, channels // f**2))
        blocks = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
        return ops.reshape(blocks, (-1, *self.event_shape)), repeat_log_det(0.0, z)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
