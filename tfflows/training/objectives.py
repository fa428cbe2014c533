"""Objectives by their short names."""

from tfflows.training.flow_matching import FlowMatching
from tfflows.training.objective import MaximumLikelihood, Objective

SHORT_FORMS = {
    "likelihood": MaximumLikelihood(),
    "flow_matching": FlowMatching(),
    "ot_flow_matching": FlowMatching(coupling="optimal_transport"),
}


def get_objective(objective: "str | Objective", time_exponent: float = 1.0) -> Objective:
    """The objective of a short name, or the one that is given.

    Args:
        objective: a short name, or an objective.
        time_exponent: of flow matching by a short name, as recipes have it.

    Raises:
        ValueError: there is no such objective, or the exponent is not for it.
    """
    if isinstance(objective, Objective):
        return objective
    if not isinstance(objective, str) or objective not in SHORT_FORMS:
        raise ValueError(
            f"Expected `objective` to be one of {list(SHORT_FORMS)} or an object such as "
            f"FlowMatching(). Received: {objective!r}"
        )
    found = SHORT_FORMS[objective]
    if time_exponent == 1.0:
        return found
    if not isinstance(found, FlowMatching):
        raise ValueError(
            "time_exponent is for flow matching. "
            f"Received: {time_exponent!r} with objective={objective!r}"
        )
    return FlowMatching(found.coupling, time_exponent)
