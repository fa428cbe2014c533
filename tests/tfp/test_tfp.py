"""Flows as objects of TensorFlow Probability, its objects in flows, and NeuTra."""

import sys
import types

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
    hmc_chains,
    neutra,
)
from tfflows.tfp.substrate import check_version, probability

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


@register
def own_variables(variable):
    return tfb.Shift(tf.Variable(np.zeros(3, "float32"), name="unseen"))


@register
def matrix(variable):
    return tfb.CholeskyOuterProduct()


@register
def absolute(variable):
    return tfb.AbsoluteValue()


@register
def one_way(variable):
    class OneWay(tfb.Bijector):
        def __init__(self):
            super().__init__(forward_min_event_ndims=0)

        def _forward(self, x):
            return x**3

    return OneWay()


@register
def two_shifts(variable):
    return tfb.Shift(np.zeros(2, "float32"))


@register
def rows_of_shifts(variable):
    return tfb.Shift(np.zeros((4, 3), "float32"))


@register
def bijector_class(variable):
    return tfb.Exp


@register
def parts(variable):
    return tfb.Split(3)


@register
def batch(variable):
    return tfd.Normal(np.zeros(3, "float32"), 1.0)


@register
def float64_base(variable):
    return tfd.MultivariateNormalDiag(np.zeros(3))


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


def test_a_base_of_tfp_has_its_moments():
    base = TFPDistribution(laplace)
    base.build((None, 3))
    z = base.sample(50_000, seed=0).numpy()
    np.testing.assert_allclose(z.mean(axis=0), [0.5, 0.0, -0.5], atol=0.02)
    np.testing.assert_allclose(z.std(axis=0), np.sqrt(2) * np.exp(-0.5), rtol=0.03)
    cold = base.sample(50_000, seed=0, temperature=0.5).numpy()
    np.testing.assert_allclose(cold - cold.mean(0), 0.5 * (z - z.mean(0)), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (own_variables, r"would neither train nor be saved.*Received: .*unseen"),
        (matrix, r"at least 2 axes. Received: data of event shape \(3,\)"),
        (absolute, "has no inverse"),
        (one_way, "must have both directions and a log-det"),
        (laplace, "must return a bijector"),
        (bijector_class, "must return a bijector of .*, of one tensor. Received: <class"),
        (parts, "must return a bijector of .*, of one tensor. Received: .*Split"),
        (two_shifts, r"fails on data of event shape \(3,\) and dtype float32"),
        (rows_of_shifts, r"one row to one row.*Received: \(4, 3\), \(4, 3\) and \(\)"),
    ],
)
def test_bijectors_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        tfflows.Flow(TFPBijector(make), (3,))


def test_factories_and_bases_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"a function that is registered by keras.saving"):
        TFPBijector(lambda variable: tfb.Identity())
    for make, message in (
        (batch, r"event shape \(3,\) and no batch shape"),
        (float64_base, "must return a distribution of dtype float32"),
        (triangular, "must return a distribution of"),
    ):
        with pytest.raises(ValueError, match=message):
            tfflows.Flow(layers.Reverse(), (3,), base=TFPDistribution(make))


def test_values_and_flows_that_do_not_fit_are_refused():
    distribution, bijector = as_distribution(real_nvp()), as_bijector(real_nvp())
    for call in (distribution.log_prob, bijector.forward, bijector.inverse):
        with pytest.raises(ValueError, match=r"events of shape \('...', 3\). Received: \(6, 2\)"):
            call(tf.zeros((6, 2)))
    for convert in (as_distribution, as_bijector):
        with pytest.raises(ValueError, match="Expected a flow of tfflows. Received: 'flow'"):
            convert("flow")


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


def test_chains_that_cannot_run_are_refused():
    flow = real_nvp()
    with pytest.raises(ValueError, match=r"must map x \(4, 3\) to log-densities \(4,\)"):
        neutra(flow, lambda x: x, 4, 10, 10)
    with pytest.raises(ValueError, match=r"Received: nan in chain 0 \(4 of 4"):
        neutra(flow, lambda x: x[:, 0] * np.nan, 4, 10, 10)
    with pytest.raises(ValueError, match="at least 2 chains"):
        neutra(flow, lambda x: x[:, 0], 1, 10, 10)
    with pytest.raises(ValueError, match='must be "hmc" or "nuts"'):
        neutra(flow, lambda x: x[:, 0], 4, 10, 10, method="gibbs")
    with pytest.raises(ValueError, match="num_leapfrog must be at least 1"):
        neutra(flow, lambda x: x[:, 0], 4, 10, 10, num_leapfrog=0)
    with pytest.raises(ValueError, match="target_acceptance must be between 0 and 1"):
        neutra(flow, lambda x: x[:, 0], 4, 10, 10, target_acceptance=1.5)
    with pytest.raises(ValueError, match="start of real numbers. Received: dtype int64"):
        hmc_chains(lambda x: x[:, 0], np.zeros((4, 3), int), 10, 10)
    with pytest.warns(UserWarning, match="No proposal was accepted: take a smaller step_size"):
        hmc_chains(
            lambda x: -tf.reduce_sum(x**2, -1), tf.zeros((4, 3)), 4, 0, step_size=1e6, seed=0
        )


def test_a_missing_or_old_package_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_probability", None)
    probability.cache_clear()
    missing = r"requires tensorflow_probability 0.25.*pip install.*Installed: .*tensorflow \d"
    with pytest.raises(ImportError, match=missing):
        probability()
    with pytest.raises(ImportError, match=missing):
        tfflows.Flow(TFPBijector(absolute), (3,))
    broken = types.ModuleType("tensorflow_probability")  # as one for another TensorFlow
    monkeypatch.setitem(sys.modules, "tensorflow_probability", broken)
    with pytest.raises(ImportError, match="Its import raised: AttributeError"):
        probability()
    with pytest.raises(ImportError, match=r"pip install.*Received: version 0.19.0"):
        check_version("0.19.0")
    check_version("0.26.0-dev20261027")
    monkeypatch.undo()
    probability.cache_clear()
