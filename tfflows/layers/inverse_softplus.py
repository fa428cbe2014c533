"""The inverse of softplus, for positive data (Dugas et al. 2001, the softplus)."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.layers.log import safe_exp
from tfflows.utils.checks import refuse_outside


@keras.saving.register_keras_serializable(package="tfflows")
class InverseSoftplus(FlowLayer):
    """Map positive x `[batch, *event]` to the real line; large x stay as they are.

        z = log(exp(x) - 1)          x = softplus(z)
        log_det = -sum(log(1 - exp(-x)))

    z is log(x) for small x and x for large ones, so that the tail of the data is that of z. The
    bend lies at x = 1: bring data of other units there first, or take `Log`, which has no
    scale. What is not positive has no density, as in `Log`.

    Example:
        >>> InverseSoftplus()(np.array([[0.01, 10.0]])).numpy().round(3)
        array([[-4.6, 10. ]], dtype=float32)
    """

    def check_data(self, x, names=None):
        refuse_outside(~(x.astype(self.compute_dtype) > 0), x, "positive numbers", names)

    def _forward(self, x, condition=None, training=False):
        logs = _log_1_minus_exp(x)
        return x + logs, -sum_event(logs)

    def _inverse(self, z, condition=None, training=False):
        # softplus(z) is exp(z) to the last bit where z is below -40, but underflows later.
        x = ops.where(z < -40, safe_exp(ops.minimum(z, -40.0)), ops.softplus(z))
        return x, -sum_event(ops.softplus(-z))


def _log_1_minus_exp(x):
    """log(1 - exp(-x)), precise for small x too.

    Below 1 it is log(x) - x / 2 + log(sinh(y) / y), y = x / 2, by the series of sinh: ONNX has not
    `expm1`, and Keras on JAX rounds `tanh` and `sinh` of float64 to float32.
    """
    near = ops.minimum(x, 1.0)
    square = near * near / 4
    ratio = ops.ones_like(x)
    for k in (12, 10, 8, 6, 4, 2):
        ratio = 1 + square / (k * (k + 1)) * ratio
    far = ops.log(1 - ops.exp(-ops.maximum(x, 1.0)))
    return ops.where(x < 1, ops.log(near) - near / 2 + ops.log(ratio), far)
