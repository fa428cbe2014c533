"""Events as vectors."""

import math

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Flatten(FlowLayer):
    """Reshape x `[batch, *event]` to z `[batch, dims]`, last axis fastest; log-det zero."""

    def latent_event_shape(self, event_shape):
        return (math.prod(event_shape),)

    def data_event_shape(self, latent_shape):
        raise ValueError(
            "Flatten cannot tell the data's shape from its latent. Call it on data, or "
            f"`build((None, *event_shape))`, first. Received: latent of shape {latent_shape}"
        )

    def _forward(self, x, condition=None, training=False):
        return ops.reshape(x, (-1, math.prod(self.event_shape))), repeat_log_det(0.0, x)

    def _inverse(self, z, condition=None, training=False):
        return ops.reshape(z, (-1, *self.event_shape)), repeat_log_det(0.0, z)
