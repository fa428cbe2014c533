"""Norms made normal: densities of elliptic shape become normal ones."""

import numpy as np
import pytest
from keras import ops
from marks import once
from scipy import stats

import tfflows
from tfflows import models, networks
from tfflows.layers import RadialGaussianize, Whiten

pytestmark = once
numpy = ops.convert_to_numpy


def student(n, seed, size=5, degrees=3):
    """Rows of a multivariate Student distribution, and their log-densities."""
    shape = np.eye(size) + 0.5
    law = stats.multivariate_t(np.arange(size), shape, degrees, seed=seed)
    x = law.rvs(n)
    return x.astype("float32"), law.logpdf(x)


def test_an_elliptic_density_is_found_by_its_statistics_alone():
    flow = tfflows.Flow([Whiten(), RadialGaussianize()], (5,))
    flow.adapt(student(100_000, 0)[0], max_rows=100_000)
    x, log_density = student(20_000, 1)
    gap = log_density - numpy(flow.log_prob(x))
    assert -0.01 < gap.mean() < 0.03
    z = numpy(flow.encode(x))
    assert stats.kstest(np.linalg.norm(z, axis=1), stats.chi(5).cdf).statistic < 0.02
    whitened = tfflows.Flow([Whiten()], (5,))
    whitened.adapt(student(100_000, 0)[0])
    assert (log_density - numpy(whitened.log_prob(x))).mean() > 0.3


def test_zero_is_zero_and_rows_beyond_all_data_come_back():
    layer = RadialGaussianize(num_bins=8)
    layer.adapt(student(1000, 0)[0])
    rays = np.outer([0, 1e-12, 1e-3, 1, 1e3, 1e8], [1, -2, 0, 3, 1]).astype("float32")
    z = numpy(layer(rays))
    assert (np.diff(np.linalg.norm(z, axis=1)) > 0).all()
    np.testing.assert_array_equal(z[0], 0)
    np.testing.assert_allclose(layer.inverse(z), rays, rtol=1e-4)


def test_data_without_a_spread_of_norms_give_a_finite_curve():
    layer = RadialGaussianize()
    rows = np.random.default_rng(0).normal(size=(1000, 3))
    layer.adapt(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    z = layer(rows.astype("float32"))
    assert np.isfinite(numpy(z)).all()
    np.testing.assert_allclose(layer.inverse(z), rows, rtol=1e-3, atol=1e-4)
    layer.adapt(rows[:1])
    assert np.isfinite(numpy(layer(rows.astype("float32")))).all()


def test_what_it_cannot_take_is_refused():
    with pytest.raises(ValueError, match=r"expects vectors that are not all zero"):
        RadialGaussianize().adapt(np.zeros((10, 3)))
    with pytest.raises(ValueError, match=r"needs vectors.* \(None, 4, 4, 1\)"):
        tfflows.Flow([RadialGaussianize()], (4, 4, 1))
    with pytest.raises(ValueError, match=r"num_bins must be at least 1. Received: 0"):
        RadialGaussianize(num_bins=0)


@pytest.mark.parametrize(
    "model",
    [
        lambda **first: models.FFJORD((5,), network=networks.DynamicsMLP((8,)), **first),
        lambda **first: models.MADEFlow((5,), hidden_units=(8,), **first),
        lambda **first: models.MAF((5,), 1, (8,), normalization=None, **first),
        lambda **first: models.NICE((5,), 1, (8,), **first),
        lambda **first: models.NSF((5,), 1, 8, **first),
        lambda **first: models.RealNVP((5,), 1, (8,), normalization=None, **first),
    ],
    ids=["ffjord", "made", "maf", "nice", "nsf", "realnvp"],
)
def test_every_model_of_vectors_takes_both_first(model):
    flow = model(preprocessing=[Whiten(), RadialGaussianize()])
    first = [type(layer) for layer in flow.flow_layers[:2]]
    assert first == [Whiten, RadialGaussianize]
    x, _ = student(2000, 0)
    flow.adapt(x)
    z = x
    for layer in flow.flow_layers[:2]:
        z = layer(z)
    assert stats.kstest(np.linalg.norm(numpy(z), axis=1), stats.chi(5).cdf).statistic < 0.05
    again = type(flow).from_config(flow.get_config())
    assert [type(layer) for layer in again.flow_layers[:2]] == first
    assert [type(layer) for layer in model().flow_layers[:2]] != first
