"""Posteriors of VAEs by name: layers from z to the Gaussian that the encoder gives."""

from collections.abc import Callable, Sequence

from tfflows.layers import (
    ContinuousFlow,
    FlowLayer,
    Householder,
    InverseAutoregressive,
    Invert,
    LULinear,
    Planar,
    Radial,
    SplineCoupling,
    Sylvester,
)
from tfflows.networks import DynamicsMLP, ResidualMLP
from tfflows.ode import FixedStep
from tfflows.utils.suggest import nearest


def gaussian(dtype: str | None = None) -> list[FlowLayer]:
    """No layers: the diagonal Gaussian itself."""
    return []


def planar(num_layers: int = 4, dtype: str | None = None) -> list[FlowLayer]:
    """Planar flows (Rezende and Mohamed 2015), whose parameters follow from the context."""
    return [Invert(Planar(dtype=dtype)) for _ in range(num_layers)]


def radial(num_layers: int = 4, dtype: str | None = None) -> list[FlowLayer]:
    """Radial flows (Rezende and Mohamed 2015)."""
    return [Invert(Radial(dtype=dtype)) for _ in range(num_layers)]


def householder(num_layers: int = 4, dtype: str | None = None) -> list[FlowLayer]:
    """Householder flows (Tomczak and Welling 2016): full covariances of the diagonal's volume."""
    return [Invert(Householder(dtype=dtype)) for _ in range(num_layers)]


def sylvester(
    num_layers: int = 4,
    orthogonal: str = "triangular",
    num_reflections: int = 8,
    num_ortho_vecs: int | None = None,
    dtype: str | None = None,
) -> list[FlowLayer]:
    """Sylvester flows (van den Berg et al. 2018); see `Sylvester` for the arguments."""
    return [
        Invert(
            Sylvester(
                orthogonal,
                num_reflections,
                num_ortho_vecs,
                reverse=orthogonal == "triangular" and place % 2 == 1,
                dtype=dtype,
            )
        )
        for place in range(num_layers)
    ]


def iaf(
    num_layers: int = 4, hidden_units: Sequence[int] = (320,), dtype: str | None = None
) -> list[FlowLayer]:
    """Inverse autoregressive flows with context (Kingma et al. 2016), in turning orders."""
    orders = ("sequential", "reversed")
    return [
        InverseAutoregressive(hidden_units=hidden_units, order=orders[place % 2], dtype=dtype)
        for place in range(num_layers)
    ]


def nsf(
    num_layers: int = 4,
    hidden_units: int = 128,
    num_blocks: int = 1,
    num_bins: int = 8,
    dtype: str | None = None,
) -> list[FlowLayer]:
    """Spline couplings (Durkan et al. 2019) with LU layers between, given the context."""
    layers = []
    for place in range(num_layers):
        conditioner = ResidualMLP(hidden_units, num_blocks, dtype=dtype)
        # A name has to make the same layers when it is loaded again: the permutation needs a seed.
        linear = LULinear(seed=place, dtype=dtype)
        coupling = SplineCoupling("half", 0, conditioner, num_bins=num_bins, dtype=dtype)
        layers += [coupling, linear]
    return layers


def ffjord(
    hidden_units: Sequence[int] = (128, 128), num_steps: int = 4, dtype: str | None = None
) -> list[FlowLayer]:
    """A continuous flow (Grathwohl et al. 2019) given the context, by fixed Runge-Kutta steps."""
    solver = FixedStep("rk4", num_steps)
    network = DynamicsMLP(hidden_units, dtype=dtype)
    return [ContinuousFlow(network, solver=solver, test_solver=solver, dtype=dtype)]


POSTERIORS: dict[str, Callable[..., list[FlowLayer]]] = {
    function.__name__: function
    for function in (gaussian, planar, radial, householder, sylvester, iaf, nsf, ffjord)
}


def find_posterior(name: str) -> Callable[..., list[FlowLayer]]:
    """The function that makes the layers of a posterior; ValueError with the nearest names."""
    if name not in POSTERIORS:
        raise ValueError(
            f"There is no posterior {name!r}{nearest(name, POSTERIORS)}; there are "
            f"{list(POSTERIORS)}"
        )
    return POSTERIORS[name]
