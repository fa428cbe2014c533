"""Independent normals with trainable parameters."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.distributions.class_conditional import ClassConditional
from tfflows.distributions.distribution import LOG_2_PI


@keras.saving.register_keras_serializable(package="tfflows")
class DiagonalNormal(ClassConditional):
    """Independent normals with trainable mean and log-scale, `[classes, *event]`.

    log p(z) = sum(-((z - mean) exp(-log_scale))**2 / 2 - log_scale - log(2 pi) / 2)

    Args:
        num_classes: None, or the number of classes, each with its own parameters.
    """

    def build(self, z_shape, condition_shape=None):
        super().build(z_shape, condition_shape)
        self.mean = self._add_parameter("mean", self.event_shape, "zeros")
        self.log_scale = self._add_parameter("log_scale", self.event_shape, "zeros")

    def _log_prob(self, z, condition):
        log_scale = self._select(self.log_scale, condition)
        standard = (z - self._select(self.mean, condition)) * ops.exp(-log_scale)
        return sum_event(-0.5 * (ops.square(standard) + LOG_2_PI) - log_scale)

    def _draw(self, noise, condition, temperature):
        scale = temperature * ops.exp(self._select(self.log_scale, condition))
        return self._select(self.mean, condition) + scale * noise.normal(self.event_shape)
