"""Bijectors and bases of TensorFlow Probability that depend on the flow's conditions."""

import keras
import numpy as np
import pytest
from marks import needs_tensorflow
from scipy import stats

import tfflows
from tfflows import layers
from tfflows.tfp import TFPBijector, TFPDistribution

pytestmark = needs_tensorflow
tfp = pytest.importorskip("tensorflow_probability") if keras.backend.backend() != "jax" else None
if tfp is not None:
    import tensorflow as tf

    tfd, tfb = tfp.distributions, tfp.bijectors


def register(make):
    return keras.saving.register_keras_serializable(package="test_tfp_conditions")(make)


@register
def affine_given(variable, condition, network):
    shift, log_scale = tf.split(network(condition), 2, axis=-1)
    return tfb.Shift(shift + variable("shift", [0.5, -0.5]))(tfb.Scale(tf.exp(log_scale)))


@register
def normal_given(variable, condition):
    loc = tf.matmul(condition, variable("kernel", [[1.0, 0.0], [0.0, -1.0], [0.5, 0.5]]))
    return tfd.Independent(tfd.Normal(loc, 0.5), 1)


@register
def halves_given(variable, condition):
    return tfb.Reshape([2, 2], [4])


@register
def normal_of_no_rows(variable, condition):
    return tfd.MultivariateNormalDiag(tf.zeros(2))


def conditional_flow():
    network = keras.Sequential([keras.layers.Dense(4)])
    bijector = TFPBijector(affine_given, {"network": network})
    base = TFPDistribution(normal_given)
    flow = tfflows.Flow([bijector], (2,), condition_shape=(3,), base=base)
    rng = np.random.default_rng(0)
    for weight in flow.trainable_variables:
        weight.assign(weight + 0.2 * rng.standard_normal(weight.shape))
    return flow, network


def moments(flow, network, conditions):
    """Of x given the condition, by NumPy: x = shift + exp(log_scale) z, z normal."""
    kernel, bias = (weight.numpy() for weight in network.weights)
    shift, log_scale = np.split(conditions @ kernel + bias, 2, axis=-1)
    (offset,) = [w.numpy() for w in flow.flow_layers[0].weights if w.name == "shift"]
    loc = conditions @ flow.base.weights[0].numpy()
    return shift + offset + np.exp(log_scale) * loc, 0.5 * np.exp(log_scale)


def test_densities_and_draws_given_conditions_are_those_of_the_closed_form(tmp_path):
    flow, network = conditional_flow()
    rng = np.random.default_rng(1)
    conditions = rng.standard_normal((64, 3)).astype("float32")
    x = rng.standard_normal((64, 2)).astype("float32")
    mean, std = moments(flow, network, conditions)
    expected = stats.norm(mean, std).logpdf(x).sum(axis=1)
    np.testing.assert_allclose(flow.log_prob(x, conditions), expected, rtol=1e-5, atol=1e-5)
    many = np.repeat(conditions[:2], 20_000, axis=0)
    draws = flow.sample(40_000, many, seed=0).numpy().reshape(2, 20_000, 2)
    assert (np.abs(draws.mean(1) - mean[:2]) < 5 * std[:2] / 20_000**0.5).all()
    np.testing.assert_allclose(draws.std(1), std[:2], rtol=0.03)

    flow.compile(keras.optimizers.Adam(1e-2))
    before = [weight.numpy() for weight in flow.trainable_variables]
    nll = flow.fit((x, conditions), batch_size=16, epochs=3, verbose=0).history["nll"]
    assert nll[-1] < nll[0] - 0.1
    moved = [w.numpy() - b for w, b in zip(flow.trainable_variables, before, strict=True)]
    assert all(np.abs(difference).max() > 1e-3 for difference in moved)
    log_p = flow.log_prob(x, conditions)
    flow.save(tmp_path / "flow.keras")
    loaded = tfflows.load_model(tmp_path / "flow.keras")
    np.testing.assert_allclose(loaded.log_prob(x, conditions), log_p, atol=1e-6)
    flow.export(tmp_path / "1")
    raw = tf.saved_model.load(str(tmp_path / "1")).signatures
    served = raw["log_prob"](x=tf.constant(x), condition=tf.constant(conditions))["log_prob"]
    np.testing.assert_allclose(served, log_p, rtol=1e-5, atol=1e-5)
    both, second = (
        raw["sample_seeds"](seeds=tf.constant(s), condition=tf.constant(c))["x"]
        for s, c in (([[1, 2], [3, 4]], conditions[:2]), ([[3, 4]], conditions[1:2]))
    )
    np.testing.assert_allclose(both[1], second[0], atol=1e-6)


def test_conditions_that_do_not_fit_are_refused():
    network = keras.Sequential([keras.layers.Dense(4)])
    with pytest.raises(ValueError, match=r"affine_given takes `condition`.*without a condition"):
        tfflows.Flow([TFPBijector(affine_given, {"network": network})], (2,))
    with pytest.raises(ValueError, match="normal_given takes `condition`"):
        tfflows.Flow([layers.Reverse()], (2,), base=TFPDistribution(normal_given))
    with pytest.raises(ValueError, match=r"must keep the event's shape \(2, 2\).*\(4,\)"):
        tfflows.Flow([TFPBijector(halves_given)], (2, 2), condition_shape=(3,))
    base = TFPDistribution(normal_of_no_rows)
    with pytest.raises(ValueError, match=r"event shape \(2,\) and a batch shape of one axis"):
        tfflows.Flow([layers.Reverse()], (2,), condition_shape=(3,), base=base)
