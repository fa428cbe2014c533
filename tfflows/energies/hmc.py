"""Hamiltonian Monte Carlo of many chains at once, as a reference (Duane et al. 1987; Neal 2011)."""

from collections.abc import Callable

import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.autodiff import value_and_pullback
from tfflows.backend.compilation import compile_function, static_loop
from tfflows.backend.tensor_ops import sum_event
from tfflows.energies.chain import Chain
from tfflows.training.density_values import as_text, log_density_of


def hmc(
    target: Callable,
    start: np.ndarray,
    num_samples: int,
    step_size: float,
    num_leapfrog: int = 10,
    burn_in: int = 0,
    thin: int = 1,
    seed: rng.Seed = None,
) -> Chain:
    """Chains of trajectories of `num_leapfrog` leapfrog steps, from normal momenta of unit mass.

    Example:
        start = np.random.default_rng(0).normal(size=(128, 8, 8, 1))
        chain = tfflows.energies.hmc(tfflows.energies.Phi4(8), start, 1000, 0.1, burn_in=200)

    Args:
        target: x `[chains, *event]` -> log-densities `[chains]`, differentiable.
        start: first states `[chains, *event]`.
        num_samples: states that are kept of each chain.
        step_size: of a leapfrog step.
        num_leapfrog: steps of a trajectory, each of which takes one gradient.
        burn_in: trajectories before the first state that is kept.
        thin: trajectories per state that is kept.
        seed: None (fresh), an integer, or what `Flow.sample` takes.

    Raises:
        ValueError: the density gives another shape, or is not finite at a start.

    Returns:
        States `[num_samples, chains, *event]`, and whether each kept trajectory was accepted.
    """
    trajectory = compile_function(_trajectory(target, float(step_size), num_leapfrog))
    generator = np.random.default_rng(np.abs(rng.make_seed(seed).astype("int64")))
    x = ops.convert_to_tensor(start, "float32")
    has_no_mass = np.flatnonzero(np.isinf(log_density_of(target, x)))
    if len(has_no_mass):
        raise ValueError(
            "Expected chains to start where the density has mass. "
            f"Received: -inf at the start {as_text(x, int(has_no_mass[0]))}"
        )
    states, accepted = [], []
    for number in range(burn_in + num_samples * thin):
        momentum = generator.standard_normal(x.shape, "float32")
        threshold = np.log(generator.uniform(size=len(x))).astype("float32")
        x, moved = trajectory(x, momentum, threshold)
        if number >= burn_in and (number - burn_in) % thin == thin - 1:
            states.append(ops.convert_to_numpy(x))
            accepted.append(ops.convert_to_numpy(moved))
    return Chain(np.stack(states), np.stack(accepted))


def _trajectory(target, step_size, num_leapfrog):
    def gradient(x):
        (values,), pullback = value_and_pullback(lambda x: (target(x),), [x])
        return values, pullback(ops.ones_like(values))[0]

    def trajectory(x, momentum, threshold):
        value, slope = gradient(x)

        def leap(_, carry):
            x, momentum, _, slope = carry
            momentum = momentum + 0.5 * step_size * slope
            x = x + step_size * momentum
            value, slope = gradient(x)
            return x, momentum + 0.5 * step_size * slope, value, slope

        new, last, new_value, _ = static_loop(num_leapfrog, leap, (x, momentum, value, slope))
        change = new_value - value + 0.5 * (_square(momentum) - _square(last))
        moved = ops.logical_and(change >= threshold, ops.isfinite(change))
        shape = (-1, *(1 for _ in x.shape[1:]))
        return ops.where(ops.reshape(moved, shape), new, x), moved

    return trajectory


def _square(momentum):
    return sum_event(ops.square(momentum))
