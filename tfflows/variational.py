"""Training on an unnormalised density in place of data: variational inference."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from tfflows import random
from tfflows.tensors import Tensor


class ReverseKL(keras.Model):
    """Minimise KL(flow || p) + constant over draws of the flow (Rezende and Mohamed 2015, eq. 15).

        loss = mean(log q(x) - log_density(x)),  x = inverse(z),  z ~ base

    The loss is at least -log Z, where Z is the integral of the density, and reaches it where q is
    p. One example is an int32 seed `[2]` of a whole batch of draws.

    Args:
        flow: a compiled `Flow`, whose weights are trained.
        log_density: x `[batch, *event]` -> `[batch]`, in `keras.ops` or the backend's own.
        num_draws: draws a step.
        condition: `[num_draws, ...]`, or None.
    """

    def __init__(self, flow, log_density: Callable, num_draws: int, condition: Tensor | None):
        super().__init__(dtype=flow.dtype_policy)
        self.flow = flow
        self.log_density = log_density
        self.num_draws = num_draws
        self.condition = condition
        self.built = True

    @property
    def metrics(self):
        return [self._loss_tracker] if self.compiled else []  # and not the flow's, unused here

    def call(self, seeds, training=None):
        z = self.flow._draw(self.num_draws, seeds[0], 1.0, self.condition)
        x, log_prob = self.flow._inverse_and_log_prob(z, self.condition)
        self.add_loss(ops.mean(log_prob - ops.cast(self.log_density(x), log_prob.dtype)))
        return x


def check_log_density(flow, log_density: Callable, condition) -> None:
    """Raise ValueError for what cannot be trained on, before the first step."""
    if flow.is_discrete:
        raise ValueError("fit_to_density wants a flow of real data. Received: one with Dequantize")
    if not flow.base.is_reparametrized:
        raise ValueError(
            "fit_to_density wants a base whose draws are smooth in its parameters. "
            f"Received: {type(flow.base).__name__}"
        )
    x = flow.sample(2, condition=None if condition is None else condition[:2], seed=0)
    shape = tuple(ops.shape(log_density(x)))
    if shape != (2,):
        raise ValueError(
            f"log_density must map x {(2, *flow.event_shape)} to log-densities (2,). "
            f"Received: {shape}"
        )


def make_seeds(seed: random.Seed, steps: int) -> np.ndarray:
    """int32 seeds `[steps, 2]` of the steps' draws."""
    rng = np.random.default_rng(np.abs(random.make_seed(seed).astype("int64")))
    return rng.integers(0, 2**31, (steps, 2)).astype("int32")
