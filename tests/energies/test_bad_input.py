"""Densities that do not fit the flow, and chains that do not move."""

import keras
import numpy as np
import pytest
from keras import ops

import tfflows
from tfflows import energies


def flow_2d():
    flow = tfflows.Flow(tfflows.layers.DiagonalScaling(), (2,))
    flow.compile(keras.optimizers.SGD(1e-3))
    return flow


def nan_on_the_right(x):
    return ops.where(x[:, 0] > 0, np.nan, 0.0)


def box(x):  # uniform on [0, 1]^2
    inside = ops.all(ops.logical_and(x > 0, x < 1), axis=-1)
    return ops.where(inside, 0.0, -np.inf)


CASES = [
    (lambda x: x, r"must map x \(64, 2\) to log-densities \(64,\). Received: \(64, 2\)"),
    (lambda x: ops.cast(x[:, 0] > 0, "int32"), "floating-point numbers. Received: int32"),
    (nan_on_the_right, r"finite or -inf. Received: nan at the draw \[ ?\d.* rows\)"),
    (lambda x: x[:, 0] * 0 + np.inf, r"Received: inf at the draw \[.*\(row 0; 64 of 64 rows\)"),
]


@pytest.mark.parametrize(("density", "message"), CASES)
def test_a_density_that_is_no_number_is_shown_with_its_draw(density, message):
    flow = flow_2d()
    with pytest.raises(ValueError, match=message):
        energies.importance(flow, density, 64, seed=0)
    for objective in ("reverse_kl", "path_gradient", "alpha_2", energies.FAB()):
        with pytest.raises(ValueError, match=message):
            flow.fit_to_density(density, 1, 2, 64, seed=0, verbose=0, objective=objective)


def test_a_bounded_support_is_refused_where_a_draw_outside_costs_infinity():
    flow = flow_2d()
    for objective in ("reverse_kl", "path_gradient"):
        with pytest.raises(ValueError, match=r"-inf at the draw \[.*layers.Logit for a box"):
            flow.fit_to_density(box, 1, 2, 64, seed=0, verbose=0, objective=objective)
    # Weights of draws outside are 0, and the rest trains.
    history = flow.fit_to_density(box, 1, 2, 64, seed=0, verbose=0, objective="forward_kl").history
    assert np.isfinite(history["loss"]).all()
    draws = energies.importance(flow, box, 4096, seed=0)
    assert abs(draws.log_z) < 5 * draws.log_z_error
    with pytest.raises(ValueError, match=r"-inf at all .* layers.Logit for a box"):
        energies.importance(flow, lambda x: x[:, 0] * 0 - np.inf, 16, seed=0)


def test_a_chain_that_never_moves_says_so():
    def far(x):  # all of the mass at draws that do not come twice
        return 1e6 * ops.cast(ops.equal(ops.arange(x.shape[0]), 0), x.dtype)

    with pytest.warns(UserWarning, match="None of 63 proposals was accepted.*Train longer"):
        chain = energies.metropolis(flow_2d(), far, 64, seed=0)
    assert chain.acceptance == 0


def test_a_target_of_other_events_than_the_flows_is_refused():
    flow, target = flow_2d(), energies.ManyWell(32)
    message = r"ManyWell is a density of events of shape \(32,\). Received: draws .*'batch', 2"
    with pytest.raises(ValueError, match=message):
        energies.importance(flow, target, 8, seed=0)
    with pytest.raises(ValueError, match=message):
        flow.fit_to_density(target, 1, 2, 8, verbose=0)
    with pytest.raises(ValueError, match=message):
        energies.hmc(target, np.zeros((3, 2)), 5, 0.1)


def test_chains_that_start_where_there_is_no_mass_are_refused():
    start = np.asarray([[0.5, 0.5], [0.5, 2.0]])
    with pytest.raises(ValueError, match=r"-inf at the start \[0\.5 2\.[ 0]*\]"):
        energies.hmc(box, start, 5, 0.1)


def test_arguments_out_of_range():
    flow = flow_2d()
    target = energies.Potential("U1")
    with pytest.raises(ValueError, match=r"one of \['reverse_kl', .*FAB\(\). Received: 'fab'"):
        flow.fit_to_density(target, objective="fab")
    with pytest.raises(ValueError, match="FAB takes neither `condition` nor `annealing_steps`"):
        flow.fit_to_density(target, annealing_steps=5, objective=energies.FAB())
    with pytest.raises(ValueError, match=r"batch_size <= min_buffer_size.*Received: 512, 64"):
        flow.fit_to_density(target, verbose=0, objective=energies.FAB(min_buffer_size=64))
    with pytest.raises(ValueError, match=r"at least 1, and step_size positive. Received: 0, 5"):
        energies.AnnealedImportance(flow, target, num_steps=0)
    for make, message in (
        (lambda: energies.Potential("U5"), "one of .*Received: 'U5'"),
        (lambda: energies.ManyWell(3), "even and at least 2. Received: 3"),
        (
            lambda: energies.Monitor(target, every=0),
            "every must be a positive integer. Received: 0",
        ),
        (lambda: energies.importance(flow, target, 0), "num_samples must be .*Received: 0"),
        (lambda: energies.Funnel(1), "at least 2. Received: 1"),
        (lambda: energies.Phi4(7), r"give `coupling` for others. Received: length=7"),
        (lambda: energies.Phi4(6, coupling=-1.0), "positive. Received: -1.0"),
        (lambda: energies.Phi4(2, coupling=1.0), "at least 3. Received: 2"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
