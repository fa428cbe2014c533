"""Flows as objects of TensorFlow Probability, its objects in flows, and NeuTra."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from marks import needs_tensorflow

import tfflows
from tfflows import layers
from tfflows.tfp import (
    TFPBijector,
    TFPDistribution,
    as_bijector,
    as_distribution,
    neutra,
)

pytestmark = needs_tensorflow
tfp = pytest.importorskip("tensorflow_probability") if keras.backend.backend() != "jax" else None
if tfp is not None:
    import tensorflow as tf

    tfd, tfb = tfp.distributions, tfp.bijectors
SEED = (1, 2)


def register(make):
    return keras.saving.register_keras_serializable(package="test_tfp")(make)


@register
def sinh_arcsinh(variable, tailweight=1.0):
    skewness = variable("skewness", np.full(3, 0.2))
    return tfb.SinhArcsinh(skewness, tailweight * tf.exp(variable("log_tailweight", np.zeros(3))))


@register
def triangular(variable):
    shift = variable("shift", [0.1, 0.2, 0.3])
    return tfb.Shift(shift)(tfb.ScaleMatvecTriL(tfb.FillScaleTriL()(variable("tril", np.ones(6)))))


@register
def coupling(variable, network):
    def shift_and_log_scale(x, _, **__):
        return tf.split(network(x), 2, axis=-1)

    return tfb.RealNVP(1, shift_and_log_scale_fn=shift_and_log_scale)


@register
def laplace(variable):
    scale = tf.exp(variable("log_scale", np.full(3, -0.5)))
    return tfd.Independent(tfd.Laplace(variable("loc", [0.5, 0.0, -0.5]), scale), 1)


def randomised(flow):
    rng = np.random.default_rng(0)
    for weight in flow.trainable_variables:
        weight.assign(weight + 0.2 * rng.standard_normal(weight.shape))
    return flow


def real_nvp(**kwargs):
    return randomised(tfflows.models.RealNVP((3,), num_couplings=2, hidden_units=(8,), **kwargs))


def test_a_flow_is_a_distribution():
    flow = real_nvp()
    distribution = as_distribution(flow)
    assert (distribution.batch_shape, distribution.event_shape) == ((), (3,))
    x = distribution.sample((2, 5), seed=SEED)
    expected = tf.reshape(flow.log_prob(tf.reshape(x, (-1, 3))), (2, 5))
    np.testing.assert_allclose(distribution.log_prob(x), expected, atol=1e-5)
    again, log_p = distribution.experimental_sample_and_log_prob((2, 5), seed=SEED)
    np.testing.assert_allclose(again, x, atol=1e-6)
    np.testing.assert_allclose(log_p, expected, atol=1e-5)
    np.testing.assert_allclose(tf.function(distribution.log_prob)(x), expected, atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(distribution.sample(64, seed=SEED)))
    gradients = tape.gradient(loss, distribution.trainable_variables)
    assert len(gradients) == len(flow.trainable_variables)
    assert any(np.abs(gradient).max() > 0 for gradient in gradients if gradient is not None)


def test_moments_and_gradients_are_those_of_the_closed_form():
    """z -> L z + shift: a normal of covariance L L^T."""

    flow = tfflows.Flow(TFPBijector(triangular), (3,))
    values = [weight.numpy() for weight in flow.flow_layers[0].weights]
    tril = tfb.FillScaleTriL()(tf.constant(values[1]))
    normal = tfd.MultivariateNormalTriL(values[0], tril)
    x = tf.identity(normal.sample(200, seed=SEED))  # not that of its cache, without a gradient
    distribution = as_distribution(flow)
    np.testing.assert_allclose(distribution.log_prob(x), normal.log_prob(x), rtol=1e-5, atol=1e-5)
    mine = tfp.math.value_and_gradient(distribution.log_prob, x)[1]
    theirs = tfp.math.value_and_gradient(normal.log_prob, x)[1]
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    draws = distribution.sample(100_000, seed=SEED)
    error = np.sqrt(np.diag(normal.covariance()) / 100_000)
    assert (np.abs(np.mean(draws, axis=0) - values[0]) < 5 * error).all()
    np.testing.assert_allclose(np.cov(draws.numpy().T), normal.covariance(), rtol=0.03, atol=0.03)


def test_conditions_are_batches():
    flow = real_nvp(condition_shape=(2,))
    conditions = np.random.default_rng(1).standard_normal((4, 2)).astype("float32")
    distribution = as_distribution(flow, conditions)
    x = distribution.sample(6, seed=SEED)
    assert x.shape == (6, 4, 3)
    columns = [flow.log_prob(x[:, i], np.repeat(conditions[i : i + 1], 6, 0)) for i in range(4)]
    expected = np.stack(columns, axis=1)
    np.testing.assert_allclose(distribution.log_prob(x), expected, atol=1e-5)
    assert as_distribution(flow, conditions[0]).batch_shape == ()
    base = tfd.MultivariateNormalDiag(tf.zeros(3))
    transformed = tfd.TransformedDistribution(base, as_bijector(flow, conditions))
    assert transformed.batch_shape == (4,)
    np.testing.assert_allclose(transformed.log_prob(x), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"expects a condition \('...', 2\). Received: none"):
        as_distribution(flow)
    with pytest.raises(ValueError, match=r"condition of shape \('...', 2\)"):
        as_distribution(flow, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="expects no condition"):
        as_bijector(real_nvp(), conditions)


def test_a_flow_is_a_bijector():
    flow = real_nvp()
    bijector = as_bijector(flow)
    z = tf.random.stateless_normal((7, 3), SEED)
    x = bijector.forward(z)
    assert bijector.inverse(x) is z
    expected, log_det = flow.inverse_and_log_det(z)
    np.testing.assert_allclose(x, expected, atol=1e-6)
    np.testing.assert_allclose(bijector.forward_log_det_jacobian(z), log_det, atol=1e-5)
    x = tf.identity(x)
    np.testing.assert_allclose(bijector.inverse_log_det_jacobian(x), -log_det, atol=1e-5)
    chain = tfb.Chain([tfb.Exp(), bijector])
    positive = tfd.TransformedDistribution(tfd.MultivariateNormalDiag(tf.zeros(3)), chain)
    y = positive.sample(5, seed=SEED)
    expected = flow.log_prob(tf.math.log(y)) - tf.reduce_sum(tf.math.log(y), axis=-1)
    np.testing.assert_allclose(positive.log_prob(y), expected, rtol=1e-5, atol=1e-5)
    assert len(positive.trainable_variables) == len(flow.trainable_variables)
    with pytest.raises(ValueError, match=r"events of shape \(3,\). Received: \(2,\)"):
        bijector.forward_event_shape((2,))


def test_reshaping_flows_change_the_event():
    flow = tfflows.Flow([layers.Flatten()], (2, 3))
    bijector = as_bijector(flow)
    assert bijector.forward(tf.zeros((4, 5, 6))).shape == (4, 5, 2, 3)
    assert bijector.inverse_event_shape((2, 3)) == (6,)
    np.testing.assert_array_equal(bijector.inverse_event_shape_tensor([4, 2, 3]), [4, 6])


def test_a_discrete_flow_is_a_distribution_but_not_a_bijector():
    flow = tfflows.Flow([layers.Dequantize(4)], (3,))
    with pytest.raises(ValueError, match=r"one that dequantizes; as_distribution"):
        as_bijector(flow)
    distribution = as_distribution(flow)
    assert distribution.reparameterization_type == tfd.NOT_REPARAMETERIZED


def test_a_flow_stands_in_joint_distributions():
    flow = real_nvp()
    joint = tfd.JointDistributionSequential(
        [as_distribution(flow), lambda x: tfd.Normal(x[..., 0], 1.0)]
    )
    x, y = joint.sample(4, seed=SEED)
    expected = flow.log_prob(x) + tfd.Normal(x[:, 0], 1.0).log_prob(y)
    np.testing.assert_allclose(joint.log_prob([x, y]), expected, rtol=1e-5, atol=1e-5)
    assert len(joint.trainable_variables) == len(flow.trainable_variables)


@pytest.mark.slow
def test_a_flow_is_a_surrogate_posterior():
    flow = real_nvp()
    target = tfd.MultivariateNormalDiag([1.0, 2.0, 3.0], [0.5, 1.0, 2.0])
    losses = tfp.vi.fit_surrogate_posterior(
        target.log_prob,
        as_distribution(flow),
        keras.optimizers.Adam(1e-2),
        60,
        sample_size=32,
        seed=SEED,
    )
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def weight_gradients(flow, x):
    weights = [weight.value for weight in flow.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(flow.log_density(tf.constant(x)))
    return tape.gradient(loss, weights)


def their_gradients(flow, x):
    """The same by TensorFlow Probability's own distribution of the same weights."""
    weights = [weight.value for weight in flow.trainable_variables]
    with tf.GradientTape() as tape:
        chain = tfb.Chain([layer._factory() for layer in flow.flow_layers])
        theirs = tfd.TransformedDistribution(flow.base._factory(), chain)
        loss = tf.reduce_mean(theirs.log_prob(tf.constant(x)))
    return tape.gradient(loss, weights)


def test_bijectors_in_a_flow_train_save_and_export(tmp_path):
    network = keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(4)])
    parts = [
        TFPBijector(sinh_arcsinh, {"tailweight": 1.5}),
        TFPBijector(coupling, {"network": network}),
        TFPBijector(triangular),
    ]
    flow = tfflows.Flow(parts, (3,), base=TFPDistribution(laplace))
    before = [weight.numpy() for weight in flow.trainable_variables]
    assert len(before) == 2 + 4 + 2 + 2
    x = np.random.default_rng(0).gamma(2.0, size=(256, 3)).astype("float32")
    flow.compile(keras.optimizers.Adam(1e-2))
    nll = flow.fit(x, batch_size=64, epochs=3, verbose=0).history["nll"]
    assert nll[-1] < nll[0] - 0.1
    moved = [w.numpy() - b for w, b in zip(flow.trainable_variables, before, strict=True)]
    assert all(np.abs(difference).max() > 1e-3 for difference in moved)
    log_p = flow.log_prob(x)
    tril = parts[2]._factory()
    chain = tfb.Chain([parts[0]._factory(), parts[1]._factory(), tril])
    theirs = tfd.TransformedDistribution(flow.base._factory(), chain)
    np.testing.assert_allclose(log_p, theirs.log_prob(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(flow.inverse(flow.encode(x)), x, rtol=1e-4, atol=1e-4)
    z = flow.base.sample(500, seed=0)
    ours, forward = flow.inverse(z).numpy(), chain.forward(z).numpy()
    np.testing.assert_allclose(ours.mean(axis=0), forward.mean(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.cov(ours.T), np.cov(forward.T), rtol=1e-5, atol=1e-5)
    for mine, expected in zip(weight_gradients(flow, x), their_gradients(flow, x), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)
    flow.save(tmp_path / "flow.keras")
    loaded = tfflows.load_model(tmp_path / "flow.keras")
    np.testing.assert_allclose(loaded.log_prob(x), log_p, atol=1e-6)
    flow.export(tmp_path / "1")
    served = tfflows.load_model(tmp_path / "1")
    np.testing.assert_allclose(served.log_prob(x), log_p, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(served.sample(5, seed=3), flow.sample(5, seed=3), atol=1e-5)
    raw = tf.saved_model.load(str(tmp_path / "1")).signatures["sample_seeds"]
    first, second = (raw(seeds=tf.constant(s))["x"] for s in ([[1, 2], [3, 4]], [[3, 4]]))
    np.testing.assert_allclose(first[1], second[0], atol=1e-6)
    assert np.abs(first[0] - first[1]).max() > 1e-3


ALONE = """
import sys
for name in ("tfflows", "keras", "tensorflow_probability", "tf_keras"):
    sys.modules[name] = None  # an import raises
import numpy as np
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["log_prob"]
x, expected = np.load(sys.argv[2]).values()
np.testing.assert_allclose(served(x=tf.constant(x))["log_prob"], expected, atol=1e-5)
"""


@pytest.mark.slow
def test_an_export_of_bijectors_needs_only_tensorflow(tmp_path):
    flow = tfflows.Flow([TFPBijector(sinh_arcsinh), TFPBijector(triangular)], (3,))
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    np.savez(tmp_path / "x.npz", x=x, log_prob=flow.log_prob(x))
    flow.export(tmp_path / "1")
    arguments = [str(tmp_path / "1"), str(tmp_path / "x.npz")]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_base_of_tfp_has_its_moments():
    base = TFPDistribution(laplace)
    base.build((None, 3))
    z = base.sample(50_000, seed=0).numpy()
    np.testing.assert_allclose(z.mean(axis=0), [0.5, 0.0, -0.5], atol=0.02)
    np.testing.assert_allclose(z.std(axis=0), np.sqrt(2) * np.exp(-0.5), rtol=0.03)
    cold = base.sample(50_000, seed=0, temperature=0.5).numpy()
    np.testing.assert_allclose(cold - cold.mean(0), 0.5 * (z - z.mean(0)), atol=1e-5)


@pytest.mark.parametrize("method", ["hmc", pytest.param("nuts", marks=pytest.mark.slow)])
def test_neutra_draws_from_the_target(method):
    """Whatever the flow: here one that is off in place and spread."""
    flow = tfflows.Flow(TFPBijector(triangular), (3,))
    target = tfd.MultivariateNormalDiag([1.0, 0.0, -1.0], [0.5, 1.0, 2.0])
    chains = neutra(flow, target.log_prob, 8, 400, 200, method=method, seed=0, max_tree_depth=4)
    assert chains.x.shape == (400, 8, 3)
    error = target.stddev() / np.sqrt(chains.ess)
    assert (np.abs(chains.x.mean((0, 1)) - [1.0, 0.0, -1.0]) < 5 * error.numpy()).all()
    np.testing.assert_allclose(chains.x.std((0, 1)), target.stddev(), rtol=0.15)
    assert chains.r_hat.max() < 1.1
    assert 0.5 < chains.acceptance <= 1
    if method == "hmc":
        assert chains.num_gradients == 8 * 8 * 400
    assert 0 < chains.ess_per_gradient < 1
