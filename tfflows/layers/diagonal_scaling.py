"""Diagonal scaling (Dinh et al. 2015, NICE, section 3.3)."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class DiagonalScaling(FlowLayer):
    """Scale every element by a trainable positive factor.

        z = x exp(log_scale)                  log_det = sum(log_scale)

    with one weight an element of x `[batch, *event]`. It gives a stack of volume-preserving
    additive couplings the means to weight some dimensions above others.
    """

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        self.log_scale = self.add_weight(
            name="log_scale", shape=self.event_shape, initializer="zeros"
        )

    def _forward(self, x, condition=None, training=False):
        return x * ops.exp(self.log_scale), repeat_log_det(ops.sum(self.log_scale), x)

    def _inverse(self, z, condition=None, training=False):
        return z * ops.exp(-self.log_scale), repeat_log_det(-ops.sum(self.log_scale), z)
