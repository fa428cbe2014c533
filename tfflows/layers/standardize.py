"""Standardize data by the statistics of a training set."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.data_dependent_layer import DataDependentLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Standardize(DataDependentLayer):
    """Subtract a fixed mean and divide by a fixed standard deviation per channel.

        z = (x - mean) / std                  log_det = -positions * sum(log(std))

    with statistics of shape `[channels]` (the last axis of x `[batch, ..., channels]`), taken by
    `adapt` and not trained. A constant channel is shifted only. The counterpart of
    `keras.layers.Normalization` that knows its log-det, so that densities stay in the units of x.
    """

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        channels = self.event_shape[-1:]
        self.mean = self.add_weight(
            name="mean", shape=channels, initializer="zeros", trainable=False
        )
        self.std = self.add_weight(name="std", shape=channels, initializer="ones", trainable=False)

    def _set_statistics(self, mean, std):
        self.mean.assign(mean)
        self.std.assign(std)

    def _forward(self, x, condition=None, training=False):
        log_det = -self._positions() * ops.sum(ops.log(self.std))
        return (x - self.mean) / self.std, repeat_log_det(log_det, x)

    def _inverse(self, z, condition=None, training=False):
        log_det = self._positions() * ops.sum(ops.log(self.std))
        return z * self.std + self.mean, repeat_log_det(log_det, z)
