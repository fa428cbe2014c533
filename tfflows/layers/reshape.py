"""Events in another shape."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.flow_layer import FlowLayer
from tfflows.utils.checks import as_shape


@keras.saving.register_keras_serializable(package="tfflows")
class Reshape(FlowLayer):
    """Reshape x `[batch, *event]` to z `[batch, *shape]`, last axis fastest; log-det zero.

    Args:
        shape: of one latent, with as many elements as the event: (49, 16) makes tokens of the
            positions of an image of 7 x 7 positions and 16 channels.
    """

    def __init__(self, shape: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        self.shape = as_shape("shape", shape)

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if math.prod(self.event_shape) != math.prod(self.shape):
            raise ValueError(
                f"Reshape to {self.shape} expects events of {math.prod(self.shape)} elements. "
                f"Received: x of shape {tuple(x_shape)}"
            )

    def latent_event_shape(self, event_shape):
        return self.shape

    def data_event_shape(self, latent_shape):
        raise ValueError(
            "Reshape cannot tell the data's shape from its latent. Call it on data, or "
            f"`build((None, *event_shape))`, first. Received: latent of shape {latent_shape}"
        )

    def _forward(self, x, condition=None, training=False):
        return ops.reshape(x, (-1, *self.shape)), repeat_log_det(0.0, x)

    def _inverse(self, z, condition=None, training=False):
        return ops.reshape(z, (-1, *self.event_shape)), repeat_log_det(0.0, z)

    def get_config(self):
        return {**super().get_config(), "shape": list(self.shape)}
