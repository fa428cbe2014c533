"""Independence Metropolis: a flow's draws as proposals of a Markov chain (Albergo et al. 2019)."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.energies.chain import Chain
from tfflows.energies.importance import WeightedDraws, importance

if TYPE_CHECKING:
    from tfflows.flow import Flow


def metropolis(
    flow: "Flow",
    target: Callable,
    num_samples: int,
    condition: Tensor | None = None,
    seed: rng.Seed = None,
    batch_size: int | None = None,
) -> Chain:
    """A chain whose states are distributed as the density, exactly as it gets long.

    Each draw x' of the flow q replaces the state x with probability

        min(1, p(x') q(x) / (p(x) q(x')))

    and does not depend on it (https://arxiv.org/abs/1904.12072, equation 11). The first draw is the
    first state.

    Example:
        chain = tfflows.energies.metropolis(flow, target, 10_000, seed=0)
        mean, error, time = chain.mean(chain.x[:, 0])

    Args:
        flow, target, condition, seed, batch_size: as in `importance`.
        num_samples: length of the chain.

    Raises:
        ValueError: as `importance`.

    Warns:
        UserWarning: no proposal was accepted.
    """
    draws = importance(flow, target, num_samples, condition, seed, batch_size)
    return metropolis_of_draws(draws, seed)


def metropolis_of_draws(draws: WeightedDraws, seed: rng.Seed = None) -> Chain:
    """The chain with these draws as its proposals, in their order."""
    seeds = np.abs(np.asarray(rng.make_seed(seed)).astype("int64"))
    uniform = np.log(np.random.default_rng(seeds).uniform(size=len(draws.x)))
    log_weights = draws.log_weights
    places, accepted = np.zeros(len(uniform), int), np.zeros(len(uniform), bool)
    current = 0
    for place in range(1, len(uniform)):
        if log_weights[place] - log_weights[current] >= uniform[place]:
            current, accepted[place] = place, True
        places[place] = current
    if len(accepted) > 1 and not accepted.any():
        warnings.warn(
            f"None of {len(accepted) - 1} proposals was accepted (effective sample size "
            f"{draws.ess * len(accepted):.1f}): the flow is not like the density yet. Train longer "
            "or with a larger network; a density in other units than the flow's needs a layer that "
            "scales, such as layers.DiagonalScaling",
            stacklevel=3,
        )
    return Chain(draws.x[places], accepted)
