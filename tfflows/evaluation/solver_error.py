"""What the solvers of a flow's fields cost its densities."""

from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.tensor_ops import Tensor
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.ode import DormandPrince

if TYPE_CHECKING:
    from tfflows.flow import Flow

# Tolerances at which rounding is as large as the error.
ROUNDING = {"float32": 1e-6, "float64": 1e-12}


def solver_error(flow: "Flow", x: Tensor, condition: Tensor | None = None) -> np.ndarray:
    """How far `flow.log_prob` of each row is from a tight solution, `[batch]` in nats, signed.

    Both solve the same fields in the same dtype: the flow by its `test_solver`, the other by
    Dormand and Prince at a hundredth of its tolerance, or at 1e-6 (1e-12 in float64) where that is
    more or the steps are fixed. Rounding, in float32 some 1e-5 nats, is in both.

    Args:
        flow: a flow with at least one `ContinuousFlow`.
        x: data `[batch, *event_shape]`.
        condition: conditions, where the flow is conditional.

    Raises:
        ValueError: no equation is solved in this flow.

    Example:
        error = tfflows.evaluation.solver_error(tfflows.load_model("zoo:ffjord-2spirals"), x)
        print(f"{abs(error).max():.0e} nats at most")
    """
    layers = list(continuous_flows(flow.flow_layers))
    if not layers:
        raise ValueError("Expected a flow with a ContinuousFlow. Received: a flow without one")
    found = flow.log_prob(x, condition)
    solvers = [layer.test_solver for layer in layers]
    dtype = keras.backend.standardize_dtype(flow.compute_dtype)
    try:
        for layer in layers:
            layer.test_solver = _tight(layer.test_solver, ROUNDING[dtype])
        # Compiled anew: functions that are compiled keep the solvers that they were traced with.
        solve = compilation.compile_method(flow, flow.log_density, jit=False)
        tight = solve(x, condition)
    finally:
        for layer, solver in zip(layers, solvers, strict=True):
            layer.test_solver = solver
    found, tight = (ops.convert_to_numpy(each).astype("float64") for each in (found, tight))
    return found - tight


def _tight(solver, rounding):
    tolerance = min(solver.rtol, solver.atol) if isinstance(solver, DormandPrince) else 0.0
    tolerance = max(tolerance / 100, rounding)
    return DormandPrince(tolerance, tolerance, max_evaluations=100_000)
