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
        # exp(x) - 1 = (exp(x) + 1) tanh(x / 2), which is exact for small x without `expm1`.
        log_tanh = ops.log(ops.tanh(x / 2))
        return ops.softplus(x) + log_tanh, -sum_event(ops.softplus(-x) + log_tanh)

    def _inverse(self, z, condition=None, training=False):
        # softplus(z) is exp(z) to the last bit where z is below -40, but underflows later.
        x = ops.where(z < -40, safe_exp(ops.minimum(z, -40.0)), ops.softplus(z))
        return x, -sum_event(ops.softplus(-z))
