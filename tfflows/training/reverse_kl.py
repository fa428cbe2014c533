"""Reverse KL: training on an unnormalised density instead of data, as in variational inference."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.training.density_values import as_text, log_density_of
from tfflows.training.objective import Objective

CHECKED_DRAWS = 64  # before training

if TYPE_CHECKING:
    from tfflows.training.density import Density


@dataclasses.dataclass(frozen=True, eq=False)
class ReverseKL(Objective):
    """KL(flow || p) + constant over draws of the flow (Rezende and Mohamed 2015, equation 15).

        loss = mean(log q(x) - weight log_density(x)),  x = inverse(z),  z ~ base

    (https://arxiv.org/abs/1505.05770.) At weight 1 the loss is the negative evidence lower bound:
    at least -log Z, where Z is the integral of the density, and it reaches that where q is p.
    `fit` then takes no data, but `epochs` and `steps_per_epoch`; `Flow.fit_to_density` is the short
    form.

    Example:
        flow.compile("adam", objective=ReverseKL(log_density, annealing_steps=100))
        flow.fit(epochs=10, steps_per_epoch=200)

    Args:
        log_density: x `[batch, *event_shape]` -> log-densities `[batch]`, up to a constant, in
            `keras.ops` or functions of the backend; finite wherever the flow may draw.
        num_draws: draws per step.
        condition: one row for all draws, or `[num_draws, ...]`, where the flow is conditional.
        annealing_steps: first steps, over which the weight of the log-density rises from 0.01 to 1
            (equation 20 there): the flow finds modes far apart while they are shallow.
        seed: None (fresh), an integer or a `keras.random.SeedGenerator`.
    """

    log_density: Callable
    num_draws: int = 512
    condition: Any = None
    annealing_steps: int = 0
    seed: rng.Seed = None

    def __post_init__(self):
        if not callable(self.log_density):
            raise ValueError(
                "Expected `log_density` to be a function of x. "
                f"Received: {type(self.log_density).__name__}"
            )

    takes_data = False
    needs_finite_densities = True

    def check(self, density):
        self.check_real(density)
        if not density.base.is_reparameterized:
            raise ValueError(
                "Reverse KL expects a base whose draws are smooth in its parameters. "
                f"Received: {type(density.base).__name__}"
            )

    def check_real(self, density: "Density") -> None:
        """Raise ValueError for flows of discrete data."""
        if density.is_discrete:
            raise ValueError(
                f"{type(self).__name__} expects a flow of real data. Received: one with Dequantize"
            )

    def check_density(self, density: "Density") -> None:
        """Raise ValueError unless `log_density` gives a fitting number for some of the draws."""
        condition = density.check_condition(self.condition, self.num_draws)
        count = min(self.num_draws, CHECKED_DRAWS)
        condition = None if condition is None else condition[:count]
        z = density.draw_latents(count, rng.make_seed(self.seed), 1.0, condition)
        x = density.generate(z, condition)
        values = log_density_of(self.log_density, x)
        if self.needs_finite_densities and np.isinf(values).any():
            draw = as_text(x, int(np.flatnonzero(np.isinf(values))[0]))
            raise ValueError(
                f"{type(self).__name__} expects a log-density that is finite wherever the flow may "
                f"draw, which is everywhere in the beginning. Received: -inf at the draw {draw}. "
                "End the flow on the support, as by layers.Logit for a box, or write the support "
                "as a steep slope"
            )

    def parse(self, inputs, condition=None):
        return inputs

    def terms(self, density, batch, training):
        """Terms of one batch of draws, whose seed and weight are one row of `steps`."""
        condition = density.check_condition(self.condition, self.num_draws)
        z = density.draw_latents(self.num_draws, batch["seed"][0], 1.0, condition)
        x, log_prob = density.generate_and_log_density(z, condition)
        log_density = ops.cast(self.log_density(x), log_prob.dtype)
        weight = ops.cast(batch["weight"][0], log_prob.dtype)
        return x, [log_prob, -weight * log_density]

    def steps(self, count: int) -> dict[str, np.ndarray]:
        """For each of `count` steps the int32 seed of its draws, `[count, 2]`, and the weight.

        Raises:
            ValueError: the steps end before the weight is 1.
        """
        if not 0 <= self.annealing_steps < count:
            raise ValueError(
                f"annealing_steps must be at least 0 and below the {count} steps of the training. "
                f"Received: {self.annealing_steps!r}"
            )
        generator = np.random.default_rng(np.abs(rng.make_seed(self.seed).astype("int64")))
        weights = np.ones(count, "float32")
        annealed = np.linspace(0.01, 1, self.annealing_steps, endpoint=False)
        weights[: self.annealing_steps] = annealed
        seeds = generator.integers(0, 2**31, (count, 2)).astype("int32")
        return {"seed": seeds, "weight": weights}
