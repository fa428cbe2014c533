"""The logit of data in [0, 1] (Dinh et al. 2017, RealNVP, section 4.1)."""

import math

import keras
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Logit(FlowLayer):
    """Map x in [0, 1], `[batch, *event]`, to the real line.

        y = alpha + (1 - 2 alpha) x           z = log(y) - log(1 - y)
        log_det = sum(log(1 - 2 alpha) - log(y) - log(1 - y))

    The map is a bijection of [0, 1] and a margin of alpha / (1 - 2 alpha) beyond both ends, where
    samples may fall as well; farther out it gives NaN. Real data inside (0, 1) take a small alpha.

    Args:
        alpha: keeps 0 and 1 finite, in (0, 0.5): 1e-6 for MNIST and real data, 0.05 for natural
            images, whose samples are rounded to levels.
    """

    def __init__(self, alpha: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(alpha, int | float) or not 0 < alpha < 0.5:
            raise ValueError(f"alpha must be in (0, 0.5). Received: {alpha!r}")
        self.alpha = alpha
        margin = alpha / (1 - 2 * alpha) + 1e-6  # samples fall there too
        self.data_range = (-margin, 1 + margin)

    def _forward(self, x, condition=None, training=False):
        log_y = ops.log(self.alpha + (1 - 2 * self.alpha) * x)
        # 1 - y written so that x = 1 leaves alpha exactly instead of a difference of large terms.
        log_1_minus_y = ops.log(self.alpha + (1 - 2 * self.alpha) * (1 - x))
        log_det = sum_event(math.log1p(-2 * self.alpha) - log_y - log_1_minus_y)
        return log_y - log_1_minus_y, log_det

    def _inverse(self, z, condition=None, training=False):
        x = (ops.sigmoid(z) - self.alpha) / (1 - 2 * self.alpha)
        log_slope = -ops.softplus(z) - ops.softplus(-z)  # log sigmoid'(z)
        return x, sum_event(log_slope - math.log1p(-2 * self.alpha))

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}
