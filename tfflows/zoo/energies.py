"""Numbers of the zoo's flows on energies: of draws, because there are no test rows."""

import math

from tfflows import energies
from tfflows.flow import Flow
from tfflows.zoo.model_card import Card, Metric

NUM_DRAWS = 65_536
BATCH = 4096
MAX_CHANGE = 0.02  # of the effective sample size and the acceptance, with other draws


def evaluate_energy(flow: Flow, target: energies.Target, num_draws: int, seed: int = 0) -> Metric:
    """log Z by importance weights, the effective sample size, and Metropolis' acceptance.

    Args:
        flow: the model.
        target: its density.
        num_draws: of the flow.
        seed: of the draws.
    """
    draws = energies.importance(flow, target, num_draws, seed=seed, batch_size=BATCH)
    return Metric(
        units="nats",
        value=draws.log_z,
        standard_error=draws.log_z_error,
        num_examples=num_draws,
        ess=draws.ess,
        acceptance=energies.metropolis_of_draws(draws, seed).acceptance,
    )


def check_energy(found: Metric, card: Card) -> None:
    """ValueError unless the numbers are those of the card, but for the chance of other draws."""
    expected = card.metric
    error = 5 * math.hypot(found.standard_error, expected.standard_error)
    if not abs(found.value - expected.value) <= error:
        raise ValueError(
            f"Expected {card.name} to estimate log Z as {expected.value:.4f} within {error:.4f}. "
            f"Received: {found.value:.4f}"
        )
    for name in ("ess", "acceptance"):
        wanted, came = getattr(expected, name), getattr(found, name)
        if not abs(came - wanted) <= MAX_CHANGE:
            raise ValueError(
                f"Expected {card.name} to have {name} {wanted:.3f} within {MAX_CHANGE}. "
                f"Received: {came:.3f}"
            )
