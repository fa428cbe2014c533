"""The distribution function of a mixture of logistics (Ho et al. 2019, Flow++, eq. 5 to 7)."""

import functools

import keras
import numpy as np
from keras import ops

from tfflows.backend.roots import increasing_root
from tfflows.transforms.log_scale import log_scale_bound
from tfflows.transforms.transform import Transform

MAX_ABS_LOG_SCALE = 7.0  # of a component, as in PixelCNN++ (Salimans et al. 2017)
MAX_LOG_STEP = 30.0  # of dx/dz, which is finite then
SPREAD = 2.0  # the locations of the components are from -SPREAD to SPREAD at first


@keras.saving.register_keras_serializable(package="tfflows")
class LogisticMixtureCDF(Transform):
    """z = logit(F(x)) exp(a) + b, F(x) = sum_k w_k sigmoid((x - m_k) / s_k).

        log dz/dx = log(F'(x)) - log(F(x)) - log(1 - F(x)) + a

    On a base of independent standard logistics one layer of it, with a = b = 0, is the density of
    the mixture. Everything is computed from logarithms, so that both tails are exact in float32:
    far out the transform is linear. The inverse brackets x, and cuts the bracket until it is as
    short as rounding.

    An element has 3 K + 2 parameters: the logits of w, m, log s, and a and b. Zero parameters are
    K equal components side by side, near the identity, and the identity where K is 1.

    Args:
        num_components: K, logistics of the mixture.
    """

    def __init__(self, num_components: int = 8):
        if not isinstance(num_components, int) or num_components < 1:
            raise ValueError(
                f"num_components must be a positive integer. Received: {num_components!r}"
            )
        self.num_components = num_components
        self.num_parameters = 3 * num_components + 2
        self._bound = log_scale_bound("soft_clip")

    def forward(self, x, parameters):
        mixture, (a, shift) = self._mixture(parameters)
        log_scale = self._bound(a)
        logit, log_slope = _logit_of_cdf(x, *mixture)
        return logit * ops.exp(log_scale) + shift, log_slope + log_scale

    def inverse(self, z, parameters):
        mixture, (a, shift) = self._mixture(parameters)
        log_scale = self._bound(a)
        logit = (z - shift) * ops.exp(-log_scale)
        _, locations, log_scales = mixture
        # Where all components are below sigmoid(logit) so is F, and where all are above.
        ends = ops.unstack(ops.stop_gradient(locations + ops.exp(log_scales) * logit))
        fixed, target = [ops.stop_gradient(each) for each in mixture], ops.stop_gradient(logit)
        eps = float(np.finfo(keras.backend.standardize_dtype(logit.dtype)).eps)
        x = increasing_root(
            lambda x: _logit_of_cdf(x, *fixed)[0] - target,
            functools.reduce(ops.minimum, ends),  # a batch of no rows has no `ops.min`
            functools.reduce(ops.maximum, ends),
            rounding=4 * eps * ops.maximum(ops.abs(target), 1.0),
        )
        # A Newton step from the root has the gradient of the implicit function. It goes no further
        # than rounding: what is left where F is flat between components is rounding of z.
        value, log_slope = _logit_of_cdf(x, *mixture)
        step = (logit - value) * ops.exp(ops.minimum(-log_slope, MAX_LOG_STEP))
        reach = 8 * eps * ops.maximum(ops.abs(x), 1.0)
        gradient = step - ops.stop_gradient(step)
        x = x + ops.stop_gradient(ops.clip(step, -reach, reach)) + gradient
        _, log_slope = _logit_of_cdf(x, *mixture)
        return x, -log_slope - log_scale

    def _mixture(self, parameters):
        """Log-weights, locations and log-scales, `[K, ...]`, and what comes after the logit."""
        count = self.num_components
        logits, locations, log_scales = (
            ops.stack(parameters[i * count : (i + 1) * count]) for i in range(3)
        )
        start = np.linspace(-SPREAD, SPREAD, count) if count > 1 else np.zeros(1)
        start = ops.convert_to_tensor(start.reshape(-1, *(1 for _ in locations.shape[1:])))
        locations = locations + ops.cast(start, locations.dtype)
        log_scales = ops.clip(log_scales, -MAX_ABS_LOG_SCALE, MAX_ABS_LOG_SCALE)
        return (ops.log_softmax(logits, axis=0), locations, log_scales), parameters[3 * count :]

    def get_config(self):
        return {"num_components": self.num_components}


def _logit_of_cdf(x, log_weights, locations, log_scales):
    """logit(F(x)) and the log of its derivative, both of x's shape.

    The derivative is sum_k L_k R_k / (w_k s_k) with the components' shares L of F and R of 1 - F,
    whose logarithms do not cancel in the tails as those of F', F and 1 - F do.
    """
    u = (x - locations) * ops.exp(-log_scales)
    below, above = log_weights - ops.softplus(-u), log_weights - ops.softplus(u)
    log_below, log_above = ops.logsumexp(below, axis=0), ops.logsumexp(above, axis=0)
    shares = ops.log_softmax(below, axis=0) + ops.log_softmax(above, axis=0)
    return log_below - log_above, ops.logsumexp(shares - log_weights - log_scales, axis=0)
