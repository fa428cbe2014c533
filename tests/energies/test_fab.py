"""The replay buffer, and that FAB finds a mode which reverse KL loses."""

import keras
import numpy as np
import pytest

import tfflows
from tfflows import energies


def test_the_buffer_draws_by_weight_and_forgets_the_oldest():
    buffer = energies.ReplayBuffer(4, seed=0)
    x = np.arange(6.0)[:, None]
    buffer.add(x[:3], np.zeros(3), np.zeros(3))
    buffer.add(x[3:], np.asarray([0.0, 0.0, np.nan]), np.zeros(3))  # 5 is left out
    assert len(buffer) == 4
    places, drawn, _ = buffer.draw(4)
    assert sorted(drawn[:, 0]) == [1, 2, 3, 4]
    where = {value: place for place, value in zip(places, drawn[:, 0], strict=True)}
    buffer.update(np.asarray([where[2.0]]), np.asarray([-3.0]), power=2.0)  # e^3 as heavy
    counts = np.mean([buffer.draw(1)[1][0, 0] == 2 for _ in range(4000)])
    np.testing.assert_allclose(counts, np.exp(3) / (np.exp(3) + 3), atol=0.02)


def test_training_by_fab_logs_and_lowers_the_divergence():
    wells = energies.ManyWell(2)
    flow = tfflows.models.RealNVP((2,), num_couplings=2, hidden_units=(16,))
    flow.compile(keras.optimizers.Adam(1e-2))
    objective = energies.FAB(num_draws=128, min_buffer_size=256, num_steps=1, num_leapfrog=2)
    monitor = energies.Monitor(wells, num_samples=512)
    history = flow.fit_to_density(
        wells, 3, 20, 128, seed=0, verbose=0, callbacks=[monitor], objective=objective
    ).history
    monitored = {"ess", "acceptance", "log_z", "elbo"}
    assert set(history) == {"loss", "annealed_acceptance", *monitored}
    assert (np.asarray(history["elbo"]) <= history["log_z"]).all()
    assert history["ess"][-1] > history["ess"][0]
    assert not flow.needs_adapt


@pytest.mark.slow
def test_fab_keeps_both_wells_where_reverse_kl_keeps_one():
    wells = energies.ManyWell(2)
    masses = {}
    for name, objective in (("reverse", "reverse_kl"), ("fab", energies.FAB(num_draws=256))):
        keras.utils.set_random_seed(0)
        flow = tfflows.models.RealNVP((2,), num_couplings=6, hidden_units=(32,))
        flow.compile(keras.optimizers.Adam(3e-3, clipnorm=10.0))
        flow.fit_to_density(wells, 5, 200, 256, seed=0, verbose=0, objective=objective)
        draws = energies.importance(flow, wells, 20_000, seed=1)
        masses[name] = draws.mean(draws.x[:, 0] > 0)[0], draws.log_z
    mass, log_z = masses["fab"]
    np.testing.assert_allclose(mass, wells.right_mass, atol=0.02)
    np.testing.assert_allclose(log_z, wells.log_z, atol=0.02)
    assert abs(masses["reverse"][0] - wells.right_mass) > 0.05
