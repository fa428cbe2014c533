"""Batch normalisation as a bijection (Dinh et al. 2017, RealNVP, section 3.7)."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.data_dependent_layer import DataDependentLayer


@keras.saving.register_keras_serializable(package="tfflows")
class BatchNorm(DataDependentLayer):
    """Normalise by running statistics per channel, then apply a trainable scale and shift.

        z = (x - mean) / sqrt(variance + epsilon) * exp(log_gamma) + beta
        log_det = positions * sum(log_gamma - log(variance + epsilon) / 2)

    with weights of shape `[channels]` (the last axis of x `[batch, ..., channels]`).

    Training normalises by the running statistics too (FFJORD's moving batch norm, Grathwohl et al.
    2019), so that the density trained is the density evaluated and the inverse is exact at any
    moment; the statistics then move towards those of the batch. Under a distribution strategy each
    replica keeps its own running statistics, and their mean is what is saved and evaluated.

    Args:
        momentum: share of the running statistics that one training step keeps, in [0, 1).
        epsilon: added to the variance, > 0.
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1). Received: {momentum}")
        if epsilon <= 0:
            raise ValueError(f"epsilon must be positive. Received: {epsilon}")
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        channels = self.event_shape[-1:]
        self.running_mean = self._add_statistic("running_mean", channels, "zeros")
        self.running_variance = self._add_statistic("running_variance", channels, "ones")
        self.log_gamma = self.add_weight(name="log_gamma", shape=channels, initializer="zeros")
        self.beta = self.add_weight(name="beta", shape=channels, initializer="zeros")

    def _add_statistic(self, name, shape, initializer):
        # Read-synchronised: a merge of replicas inside the forward pass corrupts add_loss terms.
        return keras.Variable(
            initializer,
            shape=shape,
            dtype=self.compute_dtype,
            trainable=False,
            aggregation="mean",
            synchronization="on_read",
            name=name,
        )

    def _set_statistics(self, mean, std):
        self.running_mean.assign(mean)
        self.running_variance.assign(std**2)

    def call(self, x, condition=None, training=None, inverse=False, return_log_det=False):
        outputs = super().call(x, condition, training, inverse, return_log_det)
        if training and not inverse:
            self._update_statistics(ops.cast(x, self.compute_dtype))
        return outputs

    def _update_statistics(self, x):
        axes = tuple(range(len(x.shape) - 1))
        mean, variance = ops.moments(ops.stop_gradient(x), axes=axes)
        for running, batch in ((self.running_mean, mean), (self.running_variance, variance)):
            running.assign(self.momentum * running + (1 - self.momentum) * batch)

    def _log_scale(self):
        return self.log_gamma - 0.5 * ops.log(self.running_variance + self.epsilon)

    def _forward(self, x, condition=None, training=False):
        log_scale = self._log_scale()
        z = (x - self.running_mean) * ops.exp(log_scale) + self.beta
        return z, repeat_log_det(self._positions() * ops.sum(log_scale), x)

    def _inverse(self, z, condition=None, training=False):
        log_scale = self._log_scale()
        x = (z - self.beta) * ops.exp(-log_scale) + self.running_mean
        return x, repeat_log_det(-self._positions() * ops.sum(log_scale), z)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
