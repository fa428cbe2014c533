"""The logarithm of positive data (Stan's transform of a lower-bounded scalar)."""

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.utils.checks import refuse_outside


@keras.saving.register_keras_serializable(package="tfflows")
class Log(FlowLayer):
    """Map positive x `[batch, *event]` to the real line.

        z = log(x)          log_det = -sum(log(x))

    For data whose spread is in proportion to their size: prices, counts of cells, incomes. The tail
    of a normal z is that of a log-normal x; `InverseSoftplus` keeps the tail of z. Samples
    are positive: z is cut where exp(z) would leave the normal numbers of its dtype. What is not
    positive has no density: NaN in a compiled function, and a ValueError in those of a `Flow`.

    Example:
        >>> Log()(np.array([[1.0, 10.0]])).numpy().round(3)
        array([[0.   , 2.303]], dtype=float32)
    """

    def check_data(self, x, names=None):
        refuse_outside(~(x.astype(self.compute_dtype) > 0), x, "positive numbers", names)

    def _forward(self, x, condition=None, training=False):
        z = ops.log(x)
        return z, -sum_event(z)

    def _inverse(self, z, condition=None, training=False):
        return safe_exp(z), sum_event(z)


def safe_exp(z):
    """exp(z), cut to where it is a positive, finite and normal number."""
    limits = np.finfo(keras.backend.standardize_dtype(z.dtype))
    return ops.exp(ops.clip(z, float(np.log(limits.tiny)) + 0.1, float(np.log(limits.max)) - 0.1))
