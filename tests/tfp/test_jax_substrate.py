"""TensorFlow Probability on JAX: its substrate, where it imports, and else the reason."""

import keras
import numpy as np
import pytest

import tfflows
from tfflows import tfp as flows_of_tfp
from tfflows.tfp.substrate import probability

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX substrate")


def substrate():
    try:
        return probability()
    except ImportError:
        return None


@keras.saving.register_keras_serializable(package="test_tfp_jax")
def sinh_arcsinh(variable):
    return probability().bijectors.SinhArcsinh(variable("skewness", np.full(2, 0.2)), 1.2)


@keras.saving.register_keras_serializable(package="test_tfp_jax")
def laplace(variable, condition):
    tfd = probability().distributions
    return tfd.Independent(tfd.Laplace(condition + variable("loc", np.zeros(2)), 1.0), 1)


def test_a_substrate_that_does_not_import_says_what_to_do():
    if substrate() is not None:
        pytest.skip("the substrate imports")
    flow = tfflows.models.RealNVP((2,), num_couplings=1, hidden_units=(4,))
    advice = "Install tfp-nightly instead of it, or set KERAS_BACKEND=tensorflow. Installed: .*jax"
    for convert in (flows_of_tfp.as_distribution, flows_of_tfp.as_bijector):
        with pytest.raises(ImportError, match=advice):
            convert(flow)
    with pytest.raises(ValueError, match="run on TensorFlow: set KERAS_BACKEND=tensorflow"):
        flows_of_tfp.neutra(flow, lambda x: x[:, 0])


def test_flows_bijectors_and_bases_on_the_substrate():
    tfp = substrate()
    if tfp is None:
        pytest.skip("TensorFlow Probability's JAX substrate does not import with this JAX")
    import jax

    flow = tfflows.models.RealNVP((2,), num_couplings=2, hidden_units=(4,))
    distribution = flows_of_tfp.as_distribution(flow)
    x = distribution.sample(5, seed=jax.random.key(0))
    np.testing.assert_allclose(distribution.log_prob(x), flow.log_prob(x), atol=1e-5)
    base = tfp.distributions.MultivariateNormalDiag(np.zeros(2, "float32"))
    bijector = flows_of_tfp.as_bijector(flow)
    transformed = tfp.distributions.TransformedDistribution(base, bijector)
    np.testing.assert_allclose(transformed.log_prob(x), flow.log_prob(x), atol=1e-5)

    base = flows_of_tfp.TFPDistribution(laplace)
    layer = flows_of_tfp.TFPBijector(sinh_arcsinh)
    mixed = tfflows.Flow([layer], (2,), condition_shape=(2,), base=base)
    conditions = np.random.default_rng(0).normal(size=(256, 2)).astype("float32")
    data = mixed.sample(256, conditions, seed=0) + 1.0
    mixed.compile(keras.optimizers.Adam(1e-2))
    nll = mixed.fit((data, conditions), epochs=3, verbose=0).history["nll"]
    assert nll[-1] < nll[0] - 0.05
    draws = mixed.sample(50_000, np.ones((1, 2)), seed=0)
    loc = 1.0 + np.asarray(base.weights[0])
    skewness = np.asarray(layer.weights[0])
    median = 2 * np.sinh((np.arcsinh(loc) + skewness) * 1.2) / np.sinh(np.arcsinh(2.0) * 1.2)
    np.testing.assert_allclose(np.median(draws, axis=0), median, rtol=0.03)
