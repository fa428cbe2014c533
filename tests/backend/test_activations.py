"""NaN stays NaN in networks, in the graphs too in which TensorFlow joins operations."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow

import tfflows
from tfflows import layers, models
from tfflows.backend.activations import get_activation
from tfflows.backend.autodiff import value_and_pullback
from tfflows.networks import MLP, ConvResNet, GlowNet, ResidualMLP
from tfflows.networks.made import MADE
from tfflows.serving.signatures import make_signatures

ROWS = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
CONDITION = np.ones((4, 3), "float32")
CONDITION[2, 1] = np.nan


@pytest.mark.parametrize("name", ["relu", "relu6", "tanh"])
def test_activations_have_the_values_of_keras(name):
    x = np.linspace(-9, 9, 19, dtype="float32")
    wanted = ops.convert_to_numpy(keras.activations.get(name)(x))
    got = get_activation(name)(ops.convert_to_tensor(x))
    np.testing.assert_array_equal(ops.convert_to_numpy(got), wanted)


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_slopes_of_activations_are_those_of_keras(name):
    x = ops.convert_to_tensor(np.asarray([-9.0, -1.0, 0.0, 1.0, 5.0, 9.0], "float32"))
    slopes = []
    for function in (get_activation(name), keras.activations.get(name)):
        outputs, pullback = value_and_pullback(lambda x, f=function: (f(x) ** 2,), [x])
        slopes.append(ops.convert_to_numpy(pullback(ops.ones_like(outputs[0]))[0]))
    np.testing.assert_array_equal(*slopes)


@needs_tensorflow
@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda a: MLP((8,), a), (4,)),
        (lambda a: ResidualMLP(8, 1, a), (4,)),
        (lambda a: MADE(2, (8, 8), a), (4,)),
        (lambda a: GlowNet(8, a), (4, 4, 2)),
        (lambda a: ConvResNet(4, 1, a), (4, 4, 2)),
    ],
)
def test_a_weight_that_is_nan_shows_in_a_graph(make, shape, activation):
    import tensorflow as tf

    network = make(activation)
    network.build((None, *shape))
    first = network.weights[0]
    first.assign(np.full(first.shape, np.nan))
    if isinstance(network, MADE):
        network.head.weights[0].assign(np.ones(network.head.weights[0].shape))
    run = tf.function(network, autograph=False)
    assert np.isnan(run(tf.ones((2, *shape)))).any()


def conditional_flow():
    """Keras' own layers as conditioner: their ReLU is joined and loses NaN."""
    network = keras.Sequential([keras.layers.Dense(8, "relu")])
    flow = tfflows.Flow([layers.AffineCoupling(conditioner=network)], (2,), condition_shape=(3,))
    return randomize(flow)


@pytest.mark.parametrize("method", ["log_prob", "encode", "inverse", "sample"])
def test_a_condition_that_is_nan_gives_nan_in_its_row_only(method):
    flow = conditional_flow()
    rows = 4 if method == "sample" else ROWS
    values = ops.convert_to_numpy(getattr(flow, method)(rows, CONDITION)).reshape(4, -1)
    assert np.isnan(values).all(axis=1).tolist() == [False, False, True, False]
    assert np.isfinite(values[[0, 1, 3]]).all()


@needs_tensorflow
def test_a_served_condition_that_is_nan_gives_nan_in_its_row_only():
    for name, function in make_signatures(conditional_flow()).items():
        arguments = {"log_prob": ROWS, "encode": ROWS, "decode": ROWS}
        first = arguments.get(name)
        if first is None:
            continue
        (values,) = function(first, CONDITION).values()
        wanted = [False, False, True, False]
        assert np.isnan(values).reshape(4, -1).all(axis=1).tolist() == wanted, name


def test_latents_that_are_nan_give_nan():
    flow = randomize(models.RealNVP((2,), num_couplings=2, hidden_units=(8,)))
    z = ROWS.copy()
    z[1, 0] = np.nan
    assert np.isnan(ops.convert_to_numpy(flow.inverse(z))).any(axis=1).tolist() == [
        False,
        True,
        False,
        False,
    ]


def test_conditions_that_are_not_finite_are_refused_by_their_row():
    flow = conditional_flow()
    flow.compile("adam")
    finite = np.ones((4, 3), "float32")
    for call in (
        lambda: flow.fit((ROWS, CONDITION), verbose=0),
        lambda: flow.evaluate((ROWS, CONDITION), verbose=0),
        lambda: flow.fit((ROWS, finite), validation_data=(ROWS, CONDITION), verbose=0),
        lambda: flow.adapt((ROWS, CONDITION)),
    ):
        with pytest.raises(ValueError, match=r"NaN or inf; the first stands at condition\[2, 1\]"):
            call()
