"""ActNorm (Kingma and Dhariwal 2018, Glow, section 3.1)."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.data_dependent_layer import DataDependentLayer


@keras.saving.register_keras_serializable(package="tfflows")
class ActNorm(DataDependentLayer):
    """Trainable scale and shift per channel, set by `adapt` to give mean 0 and std 1.

        z = (x - shift) exp(log_scale)        log_det = positions * sum(log_scale)

    with weights of shape `[channels]` (the last axis of x `[batch, ..., channels]`), where
    `positions` counts the elements that share a channel. Until it is adapted it is the identity.
    """

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        channels = self.event_shape[-1:]
        self.shift = self.add_weight(name="shift", shape=channels, initializer="zeros")
        self.log_scale = self.add_weight(name="log_scale", shape=channels, initializer="zeros")

    def _set_statistics(self, mean, std):
        self.shift.assign(mean)
        self.log_scale.assign(-ops.log(std))

    def _forward(self, x, condition=None, training=False):
        log_det = self._positions() * ops.sum(self.log_scale)
        return (x - self.shift) * ops.exp(self.log_scale), repeat_log_det(log_det, x)

    def _inverse(self, z, condition=None, training=False):
        log_det = -self._positions() * ops.sum(self.log_scale)
        return z * ops.exp(-self.log_scale) + self.shift, repeat_log_det(log_det, z)
