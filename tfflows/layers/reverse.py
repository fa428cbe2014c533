"""Reversal of the last axis."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Reverse(FlowLayer):
    """Reverse the last axis of x `[batch, ..., channels]`; its own inverse, log-det zero."""

    def _forward(self, x, condition=None, training=False):
        return ops.flip(x, axis=-1), repeat_log_det(0.0, x)

    def _inverse(self, z, condition=None, training=False):
        return ops.flip(z, axis=-1), repeat_log_det(0.0, z)
