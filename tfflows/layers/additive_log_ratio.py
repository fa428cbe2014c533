"""Shares that sum to 1, as free numbers (Aitchison 1982, additive log-ratio)."""

import math

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.layers.log import safe_exp
from tfflows.utils.checks import refuse_outside

SUM_TOLERANCE = 1e-3


@keras.saving.register_keras_serializable(package="tfflows")
class AdditiveLogRatio(FlowLayer):
    """Map K positive shares that sum to 1, the last axis of x, to K - 1 free numbers.

        z_k = log(x_k / x_K),  k < K          x = softmax(z_1, ..., z_K-1, 0)
        log_det = -sum(log(x_1) + ... + log(x_K))

    x `[batch, ..., K]`, a point of the simplex, becomes z `[batch, ..., K - 1]`. The density is one
    over the first K - 1 shares, of which the last follows: the measure of Stan's simplex and of a
    Dirichlet density. It is TFP's `SoftmaxCentered` run the other way. Equal shares are z = 0.

    Shares that are not positive, or whose sum is off 1 by more than 1e-3, have no density:
    NaN in a compiled function, and a ValueError in those of a `Flow`.

    Example:
        >>> AdditiveLogRatio()(np.array([[0.2, 0.3, 0.5]])).numpy().round(3)
        array([[-0.916, -0.511]], dtype=float32)
    """

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if not self.event_shape or self.event_shape[-1] < 2:
            raise ValueError(
                f"AdditiveLogRatio needs at least 2 shares. Received: x of shape {tuple(x_shape)}"
            )

    def latent_event_shape(self, event_shape):
        return (*event_shape[:-1], event_shape[-1] - 1)

    def data_event_shape(self, latent_shape):
        return (*latent_shape[:-1], latent_shape[-1] + 1)

    def check_data(self, x, names=None):
        refuse_outside(~(x.astype(self.compute_dtype) > 0), x, "positive shares", names)
        sums = x.sum(axis=-1, dtype="float64")
        expected = f"shares that sum to 1 up to {SUM_TOLERANCE}"
        what = None if names is None else [f"sum of {names[0]} to {names[-1]}"]
        refuse_outside(np.abs(sums - 1)[..., None] > SUM_TOLERANCE, sums[..., None], expected, what)

    def _forward(self, x, condition=None, training=False):
        logs = ops.log(x)
        is_off = ops.any(
            ops.abs(ops.sum(x, axis=-1) - 1) > SUM_TOLERANCE, axis=tuple(range(1, len(x.shape) - 1))
        )
        log_det = -sum_event(logs)
        log_det = ops.where(is_off, ops.cast(math.nan, log_det.dtype), log_det)
        return logs[..., :-1] - logs[..., -1:], log_det

    def _inverse(self, z, condition=None, training=False):
        logits = ops.concatenate([z, ops.zeros_like(z[..., :1])], axis=-1)
        logs = ops.log_softmax(logits, axis=-1)
        return safe_exp(logs), sum_event(logs)
