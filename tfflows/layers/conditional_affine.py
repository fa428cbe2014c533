"""A learned mean and scale a channel, given the condition (Glow's prior at the top)."""

import math

import keras
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.transforms import Affine
from tfflows.transforms.log_scale import log_scale_bound


@keras.saving.register_keras_serializable(package="tfflows")
class ConditionalAffine(FlowLayer):
    """Scale and shift every channel by what the condition says.

        z = x exp(log_scale) + shift          log_det = positions * sum(log_scale)
        log_scale, shift = bound(s), t;  s, t = bias + W condition

    for x `[batch, ..., channels]`, with s, t `[2 channels]`, zero at first. On a standard normal
    base it is the learned, class-conditional prior at the top of Glow (Kingma and Dhariwal 2018,
    the authors' code), written as a transform. Without a condition it is one affine map.

    With `log_scale="soft_clip"` it can be the mean and scale of a normal posterior: a "two_sigmoid"
    scales by less than 2.

    Args:
        log_scale: how s is bounded: "two_sigmoid" (scales 1e-3 to 2), "soft_clip" (1e-3 to 1e3), or
            a number c, for scales of 1 / c to c.
    """

    def __init__(self, log_scale: str | float = "two_sigmoid", **kwargs):
        super().__init__(**kwargs)
        log_scale_bound(log_scale)
        self.log_scale = log_scale

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        channels = self.event_shape[-1]
        self._transform = Affine(self.log_scale)
        self.bias = self.add_weight(name="bias", shape=(2 * channels,), initializer="zeros")
        self.kernel = None
        if condition_shape is not None:
            shape = (math.prod(condition_shape[1:]), 2 * channels)
            self.kernel = self.add_weight(name="kernel", shape=shape, initializer="zeros")

    def _parameters(self, x, condition):
        values = self.bias[None]
        if self.kernel is not None:
            flat = ops.reshape(condition, (-1, self.kernel.shape[0]))
            values = values + ops.matmul(flat, self.kernel)
        for _ in self.event_shape[:-1]:
            values = values[:, None]
        values = ops.broadcast_to(values, (*ops.shape(x)[:-1], values.shape[-1]))
        return ops.split(values, 2, axis=-1)

    def _forward(self, x, condition=None, training=False):
        z, log_det = self._transform.forward(x, self._parameters(x, condition))
        return z, sum_event(log_det)

    def _inverse(self, z, condition=None, training=False):
        x, log_det = self._transform.inverse(z, self._parameters(z, condition))
        return x, sum_event(log_det)

    def get_config(self):
        return {**super().get_config(), "log_scale": self.log_scale}
