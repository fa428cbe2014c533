"""Training on an unnormalised density in place of data: variational inference."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor


class ReverseKL(keras.Model):
    """Minimise KL(flow || p) + constant over draws of the flow (Rezende and Mohamed 2015, eq. 15).

        loss = mean(log q(x) - weight log_density(x)),  x = inverse(z),  z ~ base

    At weight 1 the loss is at least -log Z, where Z is the integral of the density, and reaches it
    where q is p. One example is an int32 seed `[2]` of a whole batch of draws, and the weight.

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

    def call(self, inputs, training=None):
        z = self.flow._draw(self.num_draws, inputs["seed"][0], 1.0, self.condition)
        x, log_prob = self.flow._inverse_and_log_prob(z, self.condition)
        log_density = ops.cast(self.log_density(x), log_prob.dtype)
        weight = ops.cast(inputs["weight"][0], log_prob.dtype)
        self.add_loss(ops.mean(log_prob - weight * log_density))
        return x


def check_log_density(flow, log_density: Callable, condition) -> None:
    """Raise ValueError for what cannot be trained on, before the first step."""
    if flow.is_discrete:
        raise ValueError("fit_to_density wants a flow of real data. Received: one with Dequantize")
    if not flow.base.is_reparameterized:
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


def make_steps(seed: rng.Seed, steps: int, annealing_steps: int) -> dict[str, np.ndarray]:
    """For each step the int32 seed of its draws, `[steps, 2]`, and the weight of the log-density.

    Raises ValueError where the steps end before the weight is 1.
    """
    if not 0 <= annealing_steps < steps:
        raise ValueError(
            f"annealing_steps must be at least 0 and below the {steps} steps of the training. "
            f"Received: {annealing_steps!r}"
        )
    generator = np.random.default_rng(np.abs(rng.make_seed(seed).astype("int64")))
    weights = np.ones(steps, "float32")
    weights[:annealing_steps] = np.linspace(0.01, 1, annealing_steps, endpoint=False)
    return {"seed": generator.integers(0, 2**31, (steps, 2)).astype("int32"), "weight": weights}
