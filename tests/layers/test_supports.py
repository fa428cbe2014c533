"""Layers that take columns from their supports to the real line."""

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops

import tfflows
from tfflows import layers
from tfflows.testing.derivatives import jacobian_and_log_det

SIMPLEX = np.random.default_rng(0).dirichlet(np.ones(4), 6)
SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_log_and_inverse_softplus_are_their_formulas_at_every_scale():
    x = np.array([SCALES])
    np.testing.assert_allclose(layers.Log()(x), np.log(x), rtol=1e-6)
    wanted = x + np.log(-np.expm1(-x))
    np.testing.assert_allclose(layers.InverseSoftplus()(x), wanted, rtol=1e-6)
    _, log_det = layers.InverseSoftplus().forward_and_log_det(x.T)
    np.testing.assert_allclose(log_det, -np.log(-np.expm1(-x[0])), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [layers.Log, layers.InverseSoftplus])
def test_positive_round_trips_keep_relative_precision(make):
    x = np.array([SCALES], "float32")
    layer = make()
    np.testing.assert_allclose(layer.inverse(layer(x)), x, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "make",
    [
        layers.Log,
        layers.InverseSoftplus,
        layers.AdditiveLogRatio,
        lambda dtype: layers.Logit(0, low=-1.0, high=0.0, dtype=dtype),
        lambda dtype: layers.Logit(0, low=5.0, high=6.0, dtype=dtype),
    ],
)
def test_no_sample_leaves_the_support(make, dtype):
    """Whatever the latent, what comes of it has a density again."""
    layer = make(dtype=dtype)
    z = np.array([[-1e6, -300.0, -30.0], [1e6, 300.0, 30.0], [-1e6, 1e6, 0.0]])
    x = numpy(layer.inverse(z))
    assert np.isfinite(x).all()
    layer.check_data(x)
    back, log_det = layer.forward_and_log_det(x)
    assert np.isfinite(back).all()
    assert np.isfinite(log_det).all()


def test_a_logit_of_an_interval_is_precise_at_both_ends():
    """Beside an end at 0, where numbers are dense, 1e-6 of its length is no rounding error."""
    for low, high in ((0.0, 50.0), (-50.0, 0.0)):
        layer = layers.Logit(0, low=low, high=high)
        away = np.array([[1e-6, 1e-3, 1.0]], "float32")
        x = away if low == 0 else -away
        np.testing.assert_allclose(layer.inverse(layer(x)), x, rtol=1e-5)
        wanted = np.log(away) - np.log(50 - away.astype("float64"))
        np.testing.assert_allclose(layer(x), wanted if low == 0 else -wanted, rtol=1e-5)


def test_a_logit_of_old_configs_is_that_of_0_to_1():
    old = layers.Logit.from_config({"name": "logit", "alpha": 0.05})
    x = np.random.default_rng(0).uniform(size=(3, 2))
    np.testing.assert_array_equal(old(x), layers.Logit(0.05, low=0, high=1)(x))


def test_ordered_gaps_of_every_scale_survive():
    layer = layers.Ordered()
    x = np.cumsum([[0.0, *SCALES]], axis=1, dtype="float32")
    np.testing.assert_allclose(layer(x)[:, 1:3], np.log([[1e-6, 1e-3]]), rtol=1e-4)
    np.testing.assert_allclose(layer.inverse(layer(x)), x, rtol=1e-5)


def test_the_log_det_of_shares_is_over_all_but_the_last():
    layer = layers.AdditiveLogRatio(dtype="float64")

    def from_free(free):
        shares = ops.concatenate([free, 1 - ops.sum(free, axis=1, keepdims=True)], axis=1)
        return layer.forward_and_log_det(shares)

    jacobian, log_det = jacobian_and_log_det(from_free, 3, SIMPLEX[:, :3])
    np.testing.assert_allclose(log_det, np.repeat(np.linalg.slogdet(jacobian)[1], 3), rtol=1e-8)
    _, back = layer.inverse_and_log_det(layer(SIMPLEX))
    np.testing.assert_allclose(-numpy(back), numpy(log_det)[::3], rtol=1e-8)


def test_a_flow_of_shares_has_the_density_of_its_logistic_normal():
    """Aitchison and Shen 1980, equation 2.1, with a standard normal."""
    flow = tfflows.Flow([layers.AdditiveLogRatio()], (4,))
    ratios = np.log(SIMPLEX[:, :3] / SIMPLEX[:, 3:])
    wanted = scipy.stats.norm.logpdf(ratios).sum(axis=1) - np.log(SIMPLEX).sum(axis=1)
    np.testing.assert_allclose(flow.log_prob(SIMPLEX.astype("float32")), wanted, rtol=1e-4)
    assert flow.latent_shape == (3,)
    np.testing.assert_allclose(numpy(flow.sample(50, seed=0)).sum(axis=1), 1, atol=1e-6)


def test_blockwise_sends_each_block_through_its_layers_only():
    blocks = [layers.Log(), None, [layers.Standardize(), layers.Reverse()]]
    layer = layers.Blockwise(blocks, [1, 2, 2])
    x = np.random.default_rng(0).lognormal(size=(50, 5)).astype("float32")
    assert not layer.built
    layer.adapt(x)
    z, log_det = layer.forward_and_log_det(x)
    scaled = (x[:, 3:] - x[:, 3:].mean(0)) / x[:, 3:].std(0)
    wanted = np.concatenate([np.log(x[:, :1]), x[:, 1:3], scaled[:, ::-1]], axis=1)
    np.testing.assert_allclose(z, wanted, atol=1e-5)
    expected = -np.log(x[:, 0]) - np.log(x[:, 3:].std(0)).sum()
    np.testing.assert_allclose(log_det, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "value", "message"),
    [
        (layers.Log(), 0.0, r"positive numbers\. Received: 0\.0 at row 1 of column b"),
        (layers.InverseSoftplus(), -1.0, r"positive numbers\. Received: -1\.0 at row 1"),
        (layers.Logit(0, low=0, high=3), 3.0, r"in \(0\.0, 3\.0\)\. Received: 3\.0 at row 1"),
        (layers.Logit(0.05), 1.5, r"values from .* to 1\.5 in column b"),
        (layers.Ordered(), 0.25, r"grow along the last axis\. Received: 0\.25 at row 1 of"),
        (layers.AdditiveLogRatio(), 0.7, r"sum to 1.*Received: 0\.95.* sum of a to b"),
        (layers.Dequantize(8), 0.5, "expects whole numbers"),
    ],
)
def test_data_outside_of_a_support_are_named(layer, value, message):
    x = np.full((3, 2), [0.25, 0.75])
    x[1, 1] = value
    if isinstance(layer, layers.Dequantize):
        x[:, 0], x[[0, 2], 1] = 1, 1
    with pytest.raises(ValueError, match=message):
        layer.check_data(x, ["a", "b"])


def test_a_flow_names_the_column_in_fit_and_in_log_prob():
    blocks = [None, layers.Log(), layers.Logit(0, low=0, high=10)]
    flow = tfflows.Flow([layers.Blockwise(blocks)], (3,))
    flow.data_schema = tfflows.datasets.DataSchema(columns=("change", "price", "share"))
    flow.compile("adam")
    x = np.full((4, 3), 0.5, "float32")
    x[2, 2] = 10
    with pytest.raises(ValueError, match=r"\(0\.0, 10\.0\)\. Received: 10\.0 at row 2 .* share"):
        flow.fit(x, verbose=0)
    x[2, 1] = -1
    with pytest.raises(ValueError, match=r"positive numbers.*Received: -1\.0 at row 2 .* price"):
        flow.log_prob(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Blockwise([None, None], [2]), r"each of the 2 blocks\. Received: \[2\]"),
        (lambda: layers.Blockwise([None], [0]), "block_size must be a positive.*0"),
        (lambda: layers.Blockwise(["log"]), "flow layers. Received: 'log'"),
        (lambda: layers.Blockwise([layers.Log(dtype="float64")]), "dtype, float32.*float64"),
        (lambda: layers.Blockwise([None, None])(np.zeros((4, 3))), r"'batch', 2\).*\(4, 3\)"),
        (lambda: layers.AdditiveLogRatio()(np.ones((4, 1))), r"2 shares.*\(4, 1\)"),
        (lambda: layers.Logit(0, low=1, high=1), r"`low` < `high`\. Received: 1, 1"),
        (lambda: layers.Logit(0, low=0, high=np.inf), "finite `low`"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_gradients_of_a_compiled_density_are_finite_at_every_scale():
    """Where the value is out by orders of magnitude, training must go on."""
    blocks = [layers.Log(), layers.InverseSoftplus(), layers.Logit(0, low=0, high=2e6)]
    flow = tfflows.Flow([layers.Blockwise(blocks), layers.DiagonalScaling()], (3,))
    flow.compile(keras.optimizers.Adam(1e-3))
    x = np.repeat(np.array(SCALES, "float32")[:, None], 3, axis=1)
    flow.fit(x, verbose=0, shuffle=False)
    assert all(np.isfinite(numpy(weight)).all() for weight in flow.weights)
