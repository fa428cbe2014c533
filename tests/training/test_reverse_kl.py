"""fit_to_density against densities whose integral is known."""

import keras
import numpy as np
import pytest
from keras import ops

import tfflows
from tfflows import distributions, layers
from tfflows.models import IAF, MAF, NICE, RealNVP

COVARIANCE = np.asarray([[1.0, 0.9], [0.9, 2.0]])
MEAN = np.asarray([3.0, -1.0])
PRECISION = np.linalg.inv(COVARIANCE).astype("float32")
LOG_Z = np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(COVARIANCE)[1] + 5.0


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def log_normal(x):
    """A correlated normal density, times exp(5)."""
    centred = x - MEAN.astype("float32")
    return 5.0 - 0.5 * ops.sum(ops.matmul(centred, PRECISION) * centred, axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize("model", [IAF, RealNVP])
def test_the_loss_reaches_minus_log_z_and_samples_the_density(model):
    keras.utils.set_random_seed(0)
    flow = model((2,), 2, (16,))
    flow.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-2, 400)))
    history = flow.fit_to_density(log_normal, 4, 100, batch_size=256, seed=0, verbose=0).history
    assert set(history) == {"loss"}
    assert history["loss"][0] > history["loss"][-1]
    x, log_prob = flow.sample_and_log_prob(20_000, seed=1)
    gaps = numpy(log_prob) - numpy(log_normal(x)) + LOG_Z  # of draws; their mean is the divergence
    assert gaps.mean() + 3 * gaps.std() / np.sqrt(len(gaps)) >= 0
    assert gaps.mean() < 0.02
    np.testing.assert_allclose(np.cov(numpy(x).T), COVARIANCE, atol=0.15)
    np.testing.assert_allclose(numpy(x).mean(axis=0), MEAN, atol=0.1)
    assert not flow.needs_adapt


def test_a_base_and_a_condition_are_trained_too():
    def log_density(x):
        return -0.5 * ops.sum(ops.square((x - 2.0) / 0.5), axis=-1)

    base = distributions.DiagonalNormal(num_classes=3)
    flow = tfflows.Flow([], (2,), base, condition_shape=(3,))
    flow.compile(keras.optimizers.Adam(0.05))
    condition = np.eye(3, dtype="float32")[1:2]
    flow.fit_to_density(log_density, 2, 100, 256, condition=condition, seed=0, verbose=0)
    np.testing.assert_allclose(numpy(base.mean)[1], 2.0, atol=0.05)
    np.testing.assert_allclose(np.exp(numpy(base.log_scale)[1]), 0.5, atol=0.05)
    np.testing.assert_array_equal(numpy(base.mean)[[0, 2]], 0.0)


def test_the_same_seed_trains_the_same_flow():
    losses = []
    for seed in (1, 1):
        keras.utils.set_random_seed(0)
        flow = RealNVP((2,), 2, (8,))
        flow.compile("adam")
        losses.append(flow.fit_to_density(log_normal, 1, 5, 32, seed=seed, verbose=0))
    first, same = (history.history["loss"] for history in losses)
    assert first == same


@pytest.mark.parametrize(
    ("make", "log_density", "message"),
    [
        (
            lambda: NICE((4, 4, 1), 2, (8,), preprocessing=[layers.Dequantize(17)]),
            log_normal,
            "real data",
        ),
        (
            lambda: MAF((2,), 1, (8,), base=distributions.MixtureOfGaussians(2)),
            log_normal,
            "smooth in its parameters. Received: MixtureOfGaussians",
        ),
        (
            lambda: RealNVP((2,), 2, (8,)),
            lambda x: x,
            r"log-densities \(64,\). Received: \(64, 2\)",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused(make, log_density, message):
    flow = make()
    with pytest.raises(ValueError, match=r"call compile\(optimizer\) first"):
        flow.fit_to_density(log_density)
    flow.compile("adam")
    with pytest.raises(ValueError, match=message):
        flow.fit_to_density(log_density, verbose=0)


@pytest.mark.slow
def test_annealing_finds_a_mode_far_from_where_the_flow_begins():
    def log_density(x):
        modes = ops.stack([x[:, 0], x[:, 0] - 6])
        return ops.logsumexp(-0.5 * ops.square(modes), axis=0) - 0.5 * ops.square(x[:, 1])

    shares = []
    for annealing_steps in (0, 600):
        keras.utils.set_random_seed(0)
        flow = RealNVP((2,), 4, (32,), normalization=None)
        flow.compile(keras.optimizers.Adam(1e-2), jit_compile=True, steps_per_execution=20)
        with pytest.raises(ValueError, match=r"below the 20 steps of the training. Received: 20"):
            flow.fit_to_density(log_density, 1, 20, annealing_steps=20)
        flow.fit_to_density(
            log_density, 1, 800, 256, annealing_steps=annealing_steps, seed=0, verbose=0
        )
        shares.append((numpy(flow.sample(5000, seed=1))[:, 0] > 3).mean())
    assert shares[0] < 0.01
    assert 0.3 < shares[1] < 0.7


def test_a_density_of_nan_stops_training():
    flow = RealNVP((2,), 2, (8,))
    flow.compile("adam")
    with pytest.raises(ValueError, match="nan at the draw"):
        flow.fit_to_density(lambda x: ops.log(x[:, 0] * 0 - 1), 1, 5, 16, verbose=0)

    def rarely_nan(x):  # at none of the draws that are looked at before
        return ops.where(ops.max(x, axis=-1) > 3.5, np.nan, log_normal(x))

    with pytest.raises(FloatingPointError, match="the loss is nan"):
        flow.fit_to_density(rarely_nan, 1, 10, 8192, seed=0, verbose=0)
