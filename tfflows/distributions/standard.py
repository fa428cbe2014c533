"""Distributions without parameters."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.distributions.distribution import LOG_2_PI, Distribution


@keras.saving.register_keras_serializable(package="tfflows")
class StandardNormal(Distribution):
    """Independent normals of mean 0 and variance 1: log p(z) = -(z.z + dims log 2 pi) / 2."""

    def _log_prob(self, z, condition):
        return -0.5 * sum_event(ops.square(z) + LOG_2_PI)

    def _draw(self, noise, condition, temperature):
        return temperature * noise.normal(self.event_shape)


@keras.saving.register_keras_serializable(package="tfflows")
class StandardLogistic(Distribution):
    """Independent logistic distributions of location 0 and scale 1 (NICE, section 3.4).

    log p(z) = -sum(log(1 + exp(z)) + log(1 + exp(-z)))
    """

    def _log_prob(self, z, condition):
        return -sum_event(ops.softplus(z) + ops.softplus(-z))

    def _draw(self, noise, condition, temperature):
        u = noise.uniform(self.event_shape)
        return temperature * (ops.log(u) - ops.log1p(-u))
