"""Solvers against SciPy's, and what they say where an equation cannot be solved."""

import math

import numpy as np
import pytest
import scipy.integrate
from keras import ops

from tfflows.ode.solvers import METHODS, DormandPrince, FixedStep

ROTATION = 5 * np.asarray([[0.0, 1.0], [-1.0, 0.0]])
START = np.random.default_rng(0).normal(size=(3, 2))


def numpy_field(time, x):
    return 3 * np.tanh(x @ ROTATION) * np.cos(4 * time) - 0.5 * x**3


def field(time, state):
    (x,) = state
    time = ops.reshape(time, (-1, 1))
    turned = ops.tanh(ops.matmul(x, ops.convert_to_tensor(ROTATION)))
    return (3 * turned * ops.cos(4 * time) - 0.5 * x**3,)


@pytest.fixture(scope="module")
def wanted():
    def solve(x):
        settings = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-11}
        return scipy.integrate.solve_ivp(numpy_field, (0, 2), x, **settings).y[:, -1]

    return np.stack([solve(x) for x in START])


def solve(solver, start=START, begin=0.0, end=2.0):
    solution = solver.solve(field, [ops.convert_to_tensor(start)], begin, end)
    return ops.convert_to_numpy(solution.state[0]), int(solution.evaluations)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_fixed_steps_converge_by_their_order(method, order, wanted):
    errors = [np.abs(solve(FixedStep(method, n))[0] - wanted).max() for n in (160, 320)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.5)
    assert solve(FixedStep(method, 3))[1] == 3 * len(METHODS[method][0])


@pytest.mark.slow
def test_the_error_falls_with_the_tolerance_at_the_cost_of_scipys(wanted):
    tolerances, errors = (1e-4, 1e-6, 1e-8), []
    for tolerance in tolerances:
        solver = DormandPrince(tolerance, tolerance)
        errors.append(np.abs(solve(solver)[0] - wanted).max())
        settings = {"method": "RK45", "rtol": tolerance, "atol": tolerance}
        peer = scipy.integrate.solve_ivp(numpy_field, (0, 2), START[0], **settings)
        assert solve(solver, START[:1])[1] <= 1.3 * peer.nfev
    slope = np.polyfit(np.log(tolerances), np.log(errors), 1)[0]
    assert 0.8 < slope < 1.4
    assert errors[-1] < 1e-6


def test_rows_do_not_depend_on_their_neighbours_and_go_back():
    solver = DormandPrince(1e-8, 1e-8)
    together, _ = solve(solver)
    alone = np.concatenate([solve(solver, START[i : i + 1])[0] for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    np.testing.assert_allclose(solve(solver, together, 2.0, 0.0)[0], START, atol=1e-6)
    assert solve(solver, START[:0])[0].shape == (0, 2)


def test_a_row_does_not_hide_among_many_that_step_with_it():
    """Of 3,000 rows one turns 10 times as fast: a mean over rows would let it err. A row that is
    NaN stays so, and stops no other."""
    speeds = np.ones((3000, 1))
    speeds[7] = 10.0

    def turn(_, state):
        x, y = state
        return -speeds * y, speeds * x

    start = [np.ones((3000, 1)), np.zeros((3000, 1))]
    start[0][3] = np.nan
    solver = DormandPrince(1e-4, 1e-4, by_row=False)
    solution = solver.solve(turn, [ops.convert_to_tensor(each) for each in start], 0.0, 1.0, 2)
    assert float(solution.time) == 1
    speeds[3] = np.nan
    np.testing.assert_allclose(solution.state[0], np.cos(speeds), atol=1e-3)
    np.testing.assert_allclose(solution.state[1], np.sin(speeds), atol=1e-3)


def test_a_field_without_bound_is_left_where_it_grows():
    """dy/dt = y^2 is 1 / (1 - t)."""
    solution = DormandPrince().solve(lambda _, y: (y[0] ** 2,), [np.ones((2, 1))], 0.0, 2.0)
    np.testing.assert_allclose(solution.time, 1.0, atol=1e-3)
    assert int(solution.evaluations) < 2000
    still = DormandPrince().solve(lambda _, y: (y[0] * np.nan,), [np.ones((2, 1))], 0.0, 2.0)
    np.testing.assert_array_equal(still.time, 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedStep("rk5"), r"method must be one of \['euler', .* Received: 'rk5'"),
        (lambda: FixedStep(num_steps=0), "num_steps must be a positive integer. Received: 0"),
        (lambda: DormandPrince(rtol=0), "rtol must be positive. Received: 0"),
        (lambda: DormandPrince(atol=-1e-3), "atol must be positive. Received: -0.001"),
        (lambda: DormandPrince(max_evaluations=2), "at least 8. Received: 2"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
