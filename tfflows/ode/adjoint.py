"""Gradients of a differential equation's solution by the adjoint equation."""

from collections.abc import Callable, Sequence

import numpy as np
from keras import ops

from tfflows.backend.autodiff import value_and_pullback, with_gradient
from tfflows.backend.tensor_ops import Tensor
from tfflows.ode.solvers import Solution, Solver


def solve_with_adjoint(
    solver: Solver,
    field: Callable,
    z: Tensor,
    num_integrals: int,
    tensors: Sequence[Tensor],
    start: float,
    end: float,
    controlled: int = 1,
) -> Solution:
    """Follow dz/dt = f(t, z), and integrate what else the field gives along the way.

        a(end) = dL/dz(end),   da/dt = -a df/dz - sum_k b_k dg_k/dz,   b_k = dL/dintegral_k
        dL/dtensor = integral over t of a df/dtensor + sum_k b_k dg_k/dtensor

    (Chen et al. 2018, "Neural ordinary differential equations", algorithm 1.) The backward solve
    goes through z again, so that nothing is kept of the steps.

    Args:
        solver: of both solves; backward with the same steps for all rows.
        field: (time, z, *tensors) -> (f, g_1, ..., g_n); each g is `[batch]`.
        z: the start, `[batch, ...]`.
        num_integrals: n.
        tensors: what else gradients are taken for.
        start, end: times.
        controlled: how many of z and the integrals, the first ones, an adaptive solver keeps within
            its tolerance; see `Solver.solve`.

    Returns:
        z and the n integrals at the end, the number of evaluations, where each row came to.
        Gradients are NaN where the solver did not come back to the start.
    """

    def forward(z, *tensors):
        zeros = [ops.zeros_like(z[(..., *(0 for _ in z.shape[1:]))])] * num_integrals
        solution = solver.solve(
            lambda time, state: field(time, state[0], *tensors), (z, *zeros), start, end, controlled
        )
        return *solution.state, ops.cast(solution.evaluations, z.dtype), solution.time

    def backward(inputs, outputs, cotangents):
        _, *tensors = inputs
        adjoint, *weights = cotangents[: 1 + num_integrals]

        def reverse_field(time, state):
            z, adjoint = state[:2]
            slopes, pullback = value_and_pullback(
                lambda z, *tensors: field(time, z, *tensors), [z, *tensors]
            )
            return slopes[0], *(-gradient for gradient in pullback(adjoint, *weights))

        state = (outputs[0], adjoint, *(ops.zeros_like(tensor) for tensor in tensors))
        solution = solver.for_all_rows().solve(reverse_field, state, end, start, controlled=2)
        return [ops.where(solution.time == start, each, np.nan) for each in solution.state[1:]]

    *state, evaluations, time = with_gradient(forward, backward, [z, *tensors])
    return Solution(tuple(state), evaluations, time)
