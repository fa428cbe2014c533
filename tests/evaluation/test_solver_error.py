"""What solving an equation costs densities, in closed form."""

import keras
import numpy as np
import pytest
from keras import ops
from model_table import small_flow

import tfflows
from tfflows.evaluation import solver_error
from tfflows.layers import ContinuousFlow
from tfflows.ode import FixedStep


class _Growth(keras.layers.Layer):
    """dz/dt = z, so that z(1) = e x; two steps of Euler come to (3/2)**2 x."""

    def build(self, x_shape, condition_shape=None):
        pass

    def call(self, z, time, condition=None):
        return 1.0 * z


def test_the_error_is_that_of_each_row_and_the_flow_keeps_its_solver():
    solver = FixedStep("euler", 2)
    flow = tfflows.Flow([ContinuousFlow(_Growth(), test_solver=solver)], (2,))
    x = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    wanted = 0.5 * np.square(x).sum(axis=1) * (np.e**2 - (3 / 2) ** 4)
    before = ops.convert_to_numpy(flow.log_prob(x))
    np.testing.assert_allclose(solver_error(flow, x), wanted, rtol=1e-4)
    assert flow.flow_layers[0].test_solver is solver
    np.testing.assert_array_equal(flow.log_prob(x), before)


def test_a_flow_that_solves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"a ContinuousFlow\. Received: a flow without one"):
        solver_error(small_flow(num_couplings=1), np.zeros((1, 2), "float32"))
