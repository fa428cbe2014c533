"""Annealed importance sampling from a flow to a density (Neal 2001; Midgley et al. 2023).

https://arxiv.org/abs/physics/9803008, https://arxiv.org/abs/2208.01893 section 3.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.autodiff import value_and_pullback
from tfflows.backend.compilation import compile_method, static_loop
from tfflows.backend.tensor_ops import sum_event
from tfflows.energies.importance import WeightedDraws

if TYPE_CHECKING:
    from tfflows.flow import Flow

WANTED_ACCEPTANCE = 0.65  # of a trajectory (Beskos et al. 2013)


@dataclasses.dataclass(frozen=True, eq=False)
class AnnealedDraws(WeightedDraws):
    """Weighted draws, with the flow's own density at them.

    Attributes:
        log_prob: log q(x), `[n]`, float64.
        acceptance: share of accepted trajectories.
    """

    log_prob: np.ndarray
    acceptance: float


class AnnealedImportance:
    """Draws of a flow q, moved towards p^a q^(1-a), with weights that are right on average.

        pi_b = q^(1-b) (p^a q^(1-a))^b,  b from 0 to 1 in equal steps

    Each step is a trajectory of Hamiltonian Monte Carlo that leaves its pi_b as it is. The mean
    weight estimates the integral of p^a q^(1-a) without bias, whatever the flow: at a = 1 that is Z
    and the draws are of p; at a = 2, the power of `FAB`, they are where p is large and q small.

    Step sizes follow the acceptance from call to call.

    Example:
        annealed = tfflows.energies.AnnealedImportance(flow, target, power=1)
        draws = annealed(1000, seed=0)
        print(draws.ess, draws.log_z)

    Args:
        flow: the start; its current weights count in each call.
        log_density: x `[n, *event_shape]` -> log p(x) `[n]`, up to a constant, differentiable.
        power: a.
        num_steps: distributions between, at least 1; each costs a trajectory.
        num_leapfrog: leapfrog steps of a trajectory, each of which takes a gradient of p and q.
        step_size: of the first call.
    """

    def __init__(
        self,
        flow: "Flow",
        log_density: Callable,
        power: float = 1.0,
        num_steps: int = 4,
        num_leapfrog: int = 5,
        step_size: float = 0.1,
    ):
        if num_steps < 1 or num_leapfrog < 1 or not step_size > 0:
            raise ValueError(
                "num_steps and num_leapfrog must be at least 1, and step_size positive. "
                f"Received: {num_steps}, {num_leapfrog}, {step_size}"
            )
        if flow.condition_shape is not None:
            raise ValueError("Expected a flow without a condition. Received: a conditional one")
        self.flow, self.log_density, self.power = flow, log_density, power
        self.num_steps, self.num_leapfrog = num_steps, num_leapfrog
        self.step_sizes = np.full(num_steps, step_size, "float32")
        self._compiled = compile_method(
            flow, self._anneal, bool(flow.compiled and flow.jit_compile)
        )

    def __call__(self, num_samples: int, seed: rng.Seed = None) -> AnnealedDraws:
        """Draw, and adapt the step sizes.

        Args:
            num_samples: draws.
            seed: None (fresh), an integer, or what `Flow.sample` takes.
        """
        seed = rng.make_seed(seed)
        generator = np.random.default_rng(np.abs(np.asarray(seed).astype("int64")))
        z = ops.convert_to_numpy(self.flow.draw_latents(num_samples, seed, 1.0))
        shape = (self.num_steps, num_samples, *self.flow.event_shape)
        momenta = generator.standard_normal(shape, "float32")
        thresholds = np.log(generator.uniform(size=shape[:2])).astype("float32")
        found = self._compiled(z, momenta, thresholds, self.step_sizes)
        x, log_weights, log_prob, accepted = (ops.convert_to_numpy(each) for each in found)
        self.step_sizes = self.step_sizes * np.where(accepted > WANTED_ACCEPTANCE, 1.05, 1 / 1.05)
        self.step_sizes = self.step_sizes.astype("float32")
        log_weights, log_prob = log_weights.astype("float64"), log_prob.astype("float64")
        log_weights[np.isnan(log_weights)] = -np.inf  # of trajectories that left the numbers
        return AnnealedDraws(x, log_weights, log_prob, float(accepted.mean()))

    def _anneal(self, z, momenta, thresholds, step_sizes):
        x, log_prob = self.flow.generate_and_log_density(z)
        state = self._values(x)
        step = 1 / (self.num_steps + 1)
        log_weights = step * self.power * (state[1] - log_prob)

        def move(i, carry):
            x, log_weights, accepted = carry
            beta = ops.cast(i + 1, x.dtype) * step
            parts = (ops.take(each, i, axis=0) for each in (momenta, thresholds, step_sizes))
            x, moved, (log_q, log_p) = self._trajectory(x, beta, *parts)
            log_weights = log_weights + step * self.power * (log_p - log_q)
            share = ops.mean(ops.cast(moved, x.dtype)) * ops.cast(
                ops.equal(ops.arange(self.num_steps), i), x.dtype
            )
            return x, log_weights, accepted + share

        accepted = ops.zeros_like(step_sizes)
        x, log_weights, accepted = static_loop(self.num_steps, move, (x, log_weights, accepted))
        return x, log_weights, self.flow.log_density(x), accepted

    def _values(self, x):
        log_q = self.flow.log_density(x)
        return log_q, ops.cast(self.log_density(x), log_q.dtype)

    def _trajectory(self, x, beta, momentum, threshold, step_size):
        """x after one trajectory, whether it moved, and log q and log p there."""

        def gradient(x):
            (log_q, log_p), pullback = value_and_pullback(self._values, [x])
            of_p = self.power * beta
            ones = ops.ones_like(log_q)
            slope = pullback((1 - of_p) * ones, of_p * ones)[0]
            # log pi_b = (1 - b) log q + b (a log p + (1 - a) log q)
            return log_q, log_p, (1 - of_p) * log_q + of_p * log_p, slope

        first = gradient(x)

        def leap(_, carry):
            x, momentum, *_, slope = carry
            momentum = momentum + 0.5 * step_size * slope
            x = x + step_size * momentum
            log_q, log_p, value, slope = gradient(x)
            return x, momentum + 0.5 * step_size * slope, log_q, log_p, value, slope

        start = (x, momentum, *first)
        new, last, log_q, log_p, value, _ = static_loop(self.num_leapfrog, leap, start)
        kinetic = 0.5 * (sum_event(ops.square(momentum)) - sum_event(ops.square(last)))
        change = value - first[2] + kinetic
        moved = ops.logical_and(change >= threshold, ops.isfinite(change))
        rows = ops.reshape(moved, (-1, *(1 for _ in x.shape[1:])))
        values = (ops.where(moved, log_q, first[0]), ops.where(moved, log_p, first[1]))
        return ops.where(rows, new, x), moved, values
