"""What two layers have in common that compute the same from equal weights and constants."""

import keras
import numpy as np
import pytest
from keras import ops

from tfflows import layers, models, networks
from tfflows.layers.structure import standing_for, structure, tensors_of
from tfflows.testing import randomize
from tfflows.transforms import RationalQuadraticSpline

MASK = [True, True, False, False]
SPLINE = RationalQuadraticSpline(4)


def coupling(*args, **kwargs):
    return layers.AffineCoupling(*args, conditioner=networks.MLP((5,)), **kwargs)


# Pairs of one structure: other weights, and other constants.
EQUAL = {
    "actnorm": (layers.ActNorm, layers.ActNorm),
    "conv": (
        lambda: layers.InvertibleConv1x1("lu", seed=0),
        lambda: layers.InvertibleConv1x1("lu", seed=1),
    ),
    "plain": (
        lambda: layers.InvertibleConv1x1("plain", seed=0),
        lambda: layers.InvertibleConv1x1("plain", seed=1),
    ),
    "invert": (
        lambda: layers.Invert(layers.LULinear(seed=0)),
        lambda: layers.Invert(layers.LULinear(seed=1)),
    ),
    "lu": (lambda: layers.LULinear(seed=0), lambda: layers.LULinear(seed=1)),
    "permute": (lambda: layers.Permute(seed=0), lambda: layers.Permute([3, 0, 1, 2])),
    "mask": (lambda: coupling(MASK), lambda: coupling([True, False, True, False])),
    "parity": (lambda: coupling("checkerboard", 0), lambda: coupling("checkerboard", 1)),
    "autoregressive": (
        lambda: layers.MaskedAutoregressive(hidden_units=(8,), seed=0),
        lambda: layers.MaskedAutoregressive(hidden_units=(8,), seed=1),
    ),
    "planar": (layers.Planar, layers.Planar),
    "spline": (
        lambda: layers.SplineCoupling(conditioner=keras.layers.Dense(3), num_bins=4),
        lambda: layers.SplineCoupling(conditioner=keras.layers.Dense(3), num_bins=4),
    ),
}


def build(make, condition_shape=None):
    layer = make()
    layer.build((None, 4), condition_shape)
    return layer


@pytest.mark.parametrize("name", EQUAL)
def test_a_layer_stands_for_another_of_its_structure(name):
    first, second = (randomize(build(make), seed) for seed, make in enumerate(EQUAL[name]))
    assert structure(first) == structure(second) is not None
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    expected = [second.forward_and_log_det(x), second.inverse_and_log_det(x)]
    own = first.forward_and_log_det(x)
    with standing_for([first], tensors_of([second])):
        found = [first.forward_and_log_det(x), first.inverse_and_log_det(x)]
    keras.tree.map_structure(np.testing.assert_array_equal, found, expected)
    # Afterwards it is itself again, and another function.
    np.testing.assert_array_equal(first.forward_and_log_det(x)[0], own[0])
    assert np.abs(ops.convert_to_numpy(own[0]) - ops.convert_to_numpy(expected[0][0])).max() > 0.01


class OwnLayer(layers.DiagonalScaling):
    pass


class OwnNetwork(keras.layers.Dense):
    pass


DIFFERENT = {
    "halves": (lambda: coupling("half", 0), lambda: coupling("half", 1)),
    "bound": (coupling, lambda: coupling(log_scale=3.0)),
    "activation": (
        lambda: layers.AffineCoupling(conditioner=networks.MLP((5,), "tanh")),
        lambda: layers.AffineCoupling(conditioner=networks.MLP((5,), "relu")),
    ),
    "keras": (
        lambda: layers.AffineCoupling(conditioner=keras.layers.Dense(5, "tanh")),
        lambda: layers.AffineCoupling(conditioner=keras.layers.Dense(5, "gelu")),
    ),
    "kind": (layers.Reverse, layers.Flatten),
    "form": (
        lambda: layers.InvertibleConv1x1("lu", seed=0),
        lambda: layers.InvertibleConv1x1("plain", seed=0),
    ),
    "transform": (
        lambda: layers.MaskedAutoregressive(SPLINE, (8,)),
        lambda: layers.MaskedAutoregressive(RationalQuadraticSpline(4, 2.0), (8,)),
    ),
    "order": (
        lambda: layers.MaskedAutoregressive(hidden_units=(8,), order="reversed"),
        lambda: layers.MaskedAutoregressive(hidden_units=(8,), order="sequential"),
    ),
    "orthogonal": (layers.Sylvester, lambda: layers.Sylvester(num_reflections=3)),
    "reverse": (
        lambda: layers.Sylvester("triangular"),
        lambda: layers.Sylvester("triangular", reverse=True),
    ),
    "invert": (lambda: layers.Invert(layers.Planar()), layers.Planar),
    "dtype": (coupling, lambda: coupling(dtype="float64")),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_layers_that_compute_something_else_have_other_structures(name):
    first, second = map(build, DIFFERENT[name])
    assert structure(first) is not None
    assert structure(first) != structure(second)


def test_a_condition_is_part_of_the_structure():
    assert structure(build(coupling)) != structure(build(coupling, (None, 2)))


@pytest.mark.parametrize(
    "make",
    [
        OwnLayer,
        lambda: layers.AffineCoupling(conditioner=OwnNetwork(3)),
        lambda: layers.AffineCoupling(conditioner=keras.layers.Dense(3, lambda x: x)),
        lambda: layers.ContinuousFlow(),
    ],
)
def test_what_is_a_users_own_has_none(make):
    assert structure(build(make)) is None


def test_all_layers_of_the_models_have_one():
    for model in (
        models.Glow((8, 8, 1), 2, 1, 4),
        models.Jet((8, 8, 1), depth=2, width=4),
        models.NSF((4,), 2),
        models.MAF((4,), 2),
        models.RealNVP((4,), 2),
    ):
        assert None not in [structure(layer) for layer in model.flow_layers]
    glow = models.Glow((8, 8, 1), 1, 3, 4)
    steps = [structure(layer) for layer in glow.flow_layers[2:11]]
    assert steps[:3] == steps[3:6] == steps[6:]


def test_side_effects_are_refused():
    norm = randomize(build(layers.BatchNorm))
    x = np.ones((3, 4), "float32")
    with (
        pytest.raises(RuntimeError, match="Expected layers without side effects"),
        standing_for([norm], tensors_of([norm])),
    ):
        norm.forward_and_log_det(x, training=True)
