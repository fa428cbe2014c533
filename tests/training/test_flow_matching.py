"""Flow matching: loss and field in closed form, pairs, what is logged, saved and refused."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.optimize import linear_sum_assignment

import tfflows
from tfflows import layers, models, networks, ode
from tfflows.backend.rng import BatchNoise, make_seed
from tfflows.layers import ContinuousFlow
from tfflows.training import Batch, FlowMatching, MaximumLikelihood
from tfflows.training.flow_matching import transport_pairs
from tfflows.training.objectives import get_objective

MEAN, STD = 1.0, 0.5


class _Optimum(keras.layers.Layer):
    """E[z - x | (1 - t) x + t z] for x ~ N(MEAN, STD^2) and z ~ N(0, 1), elementwise."""

    def build(self, x_shape, condition_shape=None):
        pass

    def call(self, y, time, condition=None):
        t = ops.reshape(ops.cast(time, y.dtype), (-1, 1))
        slope = (t - (1 - t) * STD**2) / ((1 - t) ** 2 * STD**2 + t**2)
        return slope * (y - (1 - t) * MEAN) - MEAN


def rows(n, seed=0):
    return np.random.default_rng(seed).normal([2, -1], [0.5, 0.2], (n, 2)).astype("float32")


def test_the_loss_of_the_best_field_is_the_variance_that_is_left():
    keras.utils.set_random_seed(0)
    flow = tfflows.Flow([ContinuousFlow(_Optimum(), seed=0)], (3,))
    x = (MEAN + STD * np.random.default_rng(0).normal(size=(40_000, 3))).astype("float32")
    draws, (loss,) = FlowMatching().terms(flow, Batch(x), training=True)
    t = np.linspace(0, 1, 10_001)
    covariance, variance = t - (1 - t) * STD**2, (1 - t) ** 2 * STD**2 + t**2
    wanted = np.mean(1 + STD**2 - covariance**2 / variance)
    loss = ops.convert_to_numpy(loss)
    assert abs(loss.mean() - wanted) < 4 * loss.std() / len(x) ** 0.5
    assert draws.shape == (40_000, 3)


@pytest.mark.slow
def test_the_best_field_has_the_density_of_the_data():
    flow = tfflows.Flow([ContinuousFlow(_Optimum())], (3,))
    x = np.random.default_rng(1).normal(size=(50, 3)).astype("float32")
    normal = -0.5 * ((x - MEAN) / STD) ** 2 - np.log(STD * (2 * np.pi) ** 0.5)
    np.testing.assert_allclose(flow.log_prob(x), normal.sum(axis=1), atol=2e-3)


def test_transport_pairs_what_is_close():
    """Nearly as close as the best assignment, which SciPy finds, and with draws spread evenly."""
    x, z = np.random.default_rng(0).normal(size=(2, 256, 2)).astype("float32")
    noise = BatchNoise(256, make_seed(0), "float32")
    pairs = transport_pairs(ops.convert_to_tensor(x), ops.convert_to_tensor(z), noise)
    pairs = ops.convert_to_numpy(pairs)
    cost = np.square(x[:, None] - z[None]).sum(axis=-1)
    best = cost[linear_sum_assignment(cost)].mean()
    left = (cost[np.arange(256), pairs].mean() - best) / (np.trace(cost) / 256 - best)
    assert left < 0.1
    assert np.bincount(pairs).max() < 8


def test_an_exponent_takes_times_near_the_data():
    """Of t = u^e the quantile q is q^e; times are stratified, so nearly exactly."""

    class Times(_Optimum):
        def call(self, y, time, condition=None):
            self.seen = np.sort(ops.convert_to_numpy(time))
            return y

    field = Times()
    flow = tfflows.Flow([ContinuousFlow(field)], (2,))
    for exponent in (1.0, 3.0):
        FlowMatching(time_exponent=exponent).terms(flow, Batch(rows(1000)), training=True)
        wanted = np.linspace(0, 1, 1000) ** exponent
        np.testing.assert_allclose(field.seen, wanted, atol=exponent / 500)


@pytest.mark.parametrize(
    "coupling", ["independent", pytest.param("optimal_transport", marks=pytest.mark.slow)]
)
def test_training_raises_the_likelihood_that_validation_reports(coupling, tmp_path):
    keras.utils.set_random_seed(0)
    network, test_solver = networks.DynamicsMLP((32,)), ode.DormandPrince(1e-3, 1e-3)
    flow = models.FFJORD((2,), network=network, test_solver=test_solver)
    x, held_out = rows(1024), rows(128, seed=1)
    before = -np.mean(flow.log_prob(held_out))
    objective = FlowMatching(coupling, time_exponent=1.5)
    flow.compile(keras.optimizers.Adam(1e-2), objective=objective)
    settings = {"epochs": 10, "validation_freq": 10, "batch_size": 128, "verbose": 0}
    history = flow.fit(x, validation_data=held_out, **settings).history
    assert sorted(history) == ["loss", "val_evaluations", "val_loss", "val_nll"]
    assert history["val_nll"][-1] < before - 1.0
    np.testing.assert_allclose(-np.mean(flow.log_prob(held_out)), history["val_nll"][-1], atol=1e-3)
    flow.save(tmp_path / "flow.keras")
    again = keras.saving.load_model(tmp_path / "flow.keras")
    assert again.objective == objective
    np.testing.assert_allclose(again.log_prob(held_out), flow.log_prob(held_out), atol=1e-4)
    assert sorted(again.fit(x, epochs=1, verbose=0).history) == ["loss"]


def test_rows_of_weight_zero_do_not_count():
    x = rows(64)
    weighted = np.concatenate([x, 100 + x])
    losses = []
    for weight in (np.repeat([1.0, 0.0], 64), None):
        flow = models.FFJORD((2,), network=networks.DynamicsMLP((4,)), preprocessing=[])
        flow.compile(keras.optimizers.SGD(0.0), objective="flow_matching")
        losses += flow.fit(weighted, sample_weight=weight, batch_size=128, verbose=0).history[
            "loss"
        ]
    assert losses[0] < 10 < 1000 < losses[1]


def test_the_layers_around_the_field_stand_in_the_path():
    """Data go to the field through a standardization, draws through a reversal."""
    x = np.random.default_rng(0).normal(5.0, 3.0, (256, 2)).astype("float32")
    flow = tfflows.Flow([layers.Standardize(), ContinuousFlow(), layers.Reverse()], (2,))
    flow.adapt(x)
    draws, (loss,) = FlowMatching().terms(flow, Batch(x), training=True)
    assert abs(float(ops.mean(loss)) - 2.0) < 0.5  # the field is zero, x and z have variance 1
    assert draws.shape == x.shape


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(ValueError, match=r"`objective` to be one of .* Received: 'matching'"):
        models.FFJORD((2,)).compile("adam", objective="matching")
    with pytest.raises(ValueError, match=r"exactly one ContinuousFlow.* Received: 2 of them"):
        models.FFJORD((2,), num_flows=2).compile("adam", objective="flow_matching")
    with pytest.raises(ValueError, match=r"exactly one ContinuousFlow.* Received: 0 of them"):
        models.RealNVP((2,)).compile("adam", objective="flow_matching")
    flow = tfflows.Flow([layers.ActNorm(name="norm"), ContinuousFlow()], (2,))
    with pytest.raises(ValueError, match=r"no other part with weights to train.*\['norm'\]"):
        flow.compile("adam", objective="flow_matching")
    flow = models.FFJORD((2,), condition_shape=(3,))
    with pytest.raises(ValueError, match=r"draws of other conditions.* a conditional flow"):
        flow.compile("adam", objective="ot_flow_matching")
    with pytest.raises(ValueError, match=r"`time_exponent` to be a positive.* Received: 0"):
        FlowMatching(time_exponent=0)
    with pytest.raises(ValueError, match=r"`coupling` to be one of .* Received: 'ot'"):
        FlowMatching(coupling="ot")
    with pytest.raises(ValueError, match=r"is for flow matching.* Received: 2 with .*likelihood"):
        get_objective("likelihood", 2)
    assert get_objective("ot_flow_matching", 2) == FlowMatching("optimal_transport", 2)
    assert get_objective("likelihood") == MaximumLikelihood()
    flow.compile("adam", objective=FlowMatching(time_exponent=2))
    flow.fit((rows(8), np.eye(3, dtype="float32")[[0] * 8]), verbose=0)


@pytest.mark.slow
def test_ffjord_and_its_images_train_sample_and_invert():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 8, (16, 4, 4, 1)).astype("uint8")
    network, solver = networks.DynamicsConvNet((4,)), ode.FixedStep("midpoint", 1)
    flow = models.MultiScaleFFJORD((4, 4, 1), 2, 1, network, solver=solver, quantization_levels=8)
    flow.compile(keras.optimizers.Adam(0.05))
    history = flow.fit(x, batch_size=8, epochs=1, verbose=0).history
    assert history["evaluations"] == [3 * 2]  # three fields of one step of two stages
    assert history["loss"][0] != history["nll"][0]  # the regularizers
    np.testing.assert_array_equal(flow.inverse(flow.encode(x)), x)
    assert flow.sample(3, seed=0).shape == (3, 4, 4, 1)
    with pytest.raises(ValueError, match=r"solver of tfflows.ode.* Received: 'rk45'"):
        models.FFJORD((2,), solver="rk45")
    with pytest.raises(ValueError, match=r"height and width that .* = 4 divides"):
        models.MultiScaleFFJORD((6, 6, 1), 3)
