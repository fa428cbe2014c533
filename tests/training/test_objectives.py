"""What compile takes as an objective, and what it refuses."""

import keras
import numpy as np
import pytest
from keras import ops

from tfflows import models
from tfflows.training import FlowMatching, MaximumLikelihood, ReverseKL


def log_normal(x):
    return -0.5 * ops.sum(ops.square(x - 1.0), axis=-1)


def rows(n):
    return np.random.default_rng(0).normal(size=(n, 2)).astype("float32")


@pytest.mark.parametrize(
    "settings",
    [{"loss": "mse"}, {"loss_weights": [1.0]}, {"metrics": ["mae"]}, {"weighted_metrics": ["mae"]}],
)
def test_a_loss_and_metrics_of_targets_are_refused_with_the_reason(settings):
    with pytest.raises(ValueError, match=r"adds its own loss.*no targets.*Received: \w+="):
        models.RealNVP((2,), 2, (8,)).compile("adam", **settings)


def test_a_loss_given_by_its_place_is_refused_too():
    with pytest.raises(ValueError, match=r"adds its own loss.*Received: loss='mse'"):
        models.RealNVP((2,), 2, (8,)).compile("adam", "mse")


def test_fit_by_reverse_kl_takes_steps_and_no_data():
    keras.utils.set_random_seed(0)
    flow = models.RealNVP((2,), 2, (8,))
    flow.compile(keras.optimizers.Adam(1e-2), objective=ReverseKL(log_normal, 64, seed=0))
    history = flow.fit(epochs=3, steps_per_epoch=40, validation_data=(rows(32),), verbose=0).history
    assert set(history) == {"loss", "val_loss", "val_nll"}
    assert history["loss"][-1] < history["loss"][0]
    assert history["loss"][-1] > -np.log(2 * np.pi) - 0.05  # -log Z bounds it from below
    with pytest.raises(ValueError, match=r"takes no data.*Received: x="):
        flow.fit(rows(8), verbose=0)
    with pytest.raises(ValueError, match=r"to be a function of x\. Received: str"):
        ReverseKL("normal")


def test_a_fit_to_a_density_leaves_the_objective_as_it_was():
    keras.utils.set_random_seed(0)
    flow = models.RealNVP((2,), 2, (8,))
    flow.compile("adam")
    assert set(flow.fit(rows(32), verbose=0).history) == {"loss", "nll"}
    assert set(flow.fit_to_density(log_normal, 1, 3, 16, verbose=0).history) == {"loss"}
    assert flow.objective == MaximumLikelihood()
    assert set(flow.fit(rows(32), verbose=0).history) == {"loss", "nll"}


def test_callbacks_of_a_fit_to_a_density_see_the_flow(tmp_path):
    flow = models.RealNVP((2,), 2, (8,))
    flow.compile("adam")
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "flow.keras", save_freq="epoch")
    flow.fit_to_density(log_normal, 1, 3, 16, callbacks=[checkpoint], verbose=0)
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    np.testing.assert_allclose(loaded.log_prob(rows(4)), flow.log_prob(rows(4)), atol=1e-5)


def test_the_objective_is_saved_with_the_compiled_flow(tmp_path):
    flow = models.FFJORD((2,))
    flow.compile("adam", objective=FlowMatching("optimal_transport", 2.0))
    flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    assert loaded.objective == FlowMatching("optimal_transport", 2.0)
    assert repr(loaded.objective).startswith("FlowMatching(coupling='optimal_transport'")
