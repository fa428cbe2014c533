"""Vectors whose elements grow, as free ones (Stan's ordered vectors; TFP's `Ordered`)."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.layers.log import safe_exp
from tfflows.utils.checks import refuse_outside


@keras.saving.register_keras_serializable(package="tfflows")
class Ordered(FlowLayer):
    """Map x_1 < x_2 < ... < x_K, the last axis of x `[batch, ..., K]`, to free numbers.

        z_1 = x_1,   z_k = log(x_k - x_k-1)          log_det = -sum(z_2 + ... + z_K)

    Samples grow from element to element up to rounding: a gap that is too small for the dtype
    beside x_k is a tie. What does not grow has no density: NaN in a compiled function, and a
    ValueError in those of a `Flow`.

    Example:
        >>> Ordered()(np.array([[-1.0, 0.0, 10.0]])).numpy().round(3)
        array([[-1.   ,  0.   ,  2.303]], dtype=float32)
    """

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if not self.event_shape:
            raise ValueError(
                "Ordered needs events of at least one axis. Received: event of shape ()"
            )

    def check_data(self, x, names=None):
        rounded = x.astype(self.compute_dtype)
        grows = rounded[..., 1:] > rounded[..., :-1]
        names = None if names is None else names[1:]
        expected = "numbers that grow along the last axis"
        refuse_outside(~grows, x[..., 1:], expected, names, offset=1)

    def _forward(self, x, condition=None, training=False):
        logs = ops.log(x[..., 1:] - x[..., :-1])
        return ops.concatenate([x[..., :1], logs], axis=-1), -sum_event(logs)

    def _inverse(self, z, condition=None, training=False):
        logs = z[..., 1:]
        steps = ops.concatenate([z[..., :1], safe_exp(logs)], axis=-1)
        return ops.cumsum(steps, axis=-1), sum_event(logs)
