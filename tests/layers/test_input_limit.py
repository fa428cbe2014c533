"""Couplings whose networks see no farther than a limit, so that samples do not run away."""

import numpy as np
import pytest
from keras import ops
from layer_table import randomize

from tfflows import layers, zoo
from tfflows.networks import MLP, GlowNet

COUPLINGS = {
    "additive": layers.AdditiveCoupling,
    "affine": layers.AffineCoupling,
    "mixture": layers.LogisticMixtureCoupling,
    "spline": layers.SplineCoupling,
}


@pytest.mark.parametrize("name", COUPLINGS)
def test_beyond_the_limit_the_parameters_are_those_at_the_limit(name):
    layer = COUPLINGS[name](conditioner=MLP((8,)), input_limit=2.0)
    free = COUPLINGS[name](conditioner=MLP((8,)))
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    for each in (layer, free):
        each.build(x.shape)
    randomize(layer, spread=0.5)
    free.set_weights(layer.get_weights())
    x[:, 0] *= 100  # kept
    near = np.concatenate([np.clip(x[:, :2], -2, 2), x[:, 2:]], axis=1)
    (z, log_det), wanted = layer.forward_and_log_det(x), free.forward_and_log_det(near)
    np.testing.assert_allclose(z[:, 2:], wanted[0][:, 2:], rtol=1e-6)
    np.testing.assert_allclose(log_det, wanted[1], rtol=1e-6)
    np.testing.assert_array_equal(z[:, :2], x[:, :2])
    assert np.abs(ops.convert_to_numpy(free(x)) - ops.convert_to_numpy(z)).max() > 1
    again = type(layer).from_config(layer.get_config())
    assert again.input_limit == 2.0


def test_a_condition_is_not_cut():
    layer = layers.AffineCoupling(conditioner=MLP((8,)), input_limit=1.0)
    x = np.zeros((2, 2), "float32")
    layer.build(x.shape, (2, 1))
    randomize(layer)
    z = ops.convert_to_numpy(layer(x, condition=np.array([[5.0], [9.0]], "float32")))
    assert abs(z[0, 1] - z[1, 1]) > 1e-3


def test_the_prior_of_factored_out_channels_has_the_limit_as_well():
    prior = layers.FactorOut([layers.Flatten()], GlowNet(0), "soft_clip", 3.0)
    x = np.random.default_rng(0).normal(size=(4, 2, 2, 2)).astype("float32")
    prior.build(x.shape)
    randomize(prior, spread=0.3)
    x[..., 0] = 3.0
    far = x.copy()
    far[..., 0] = 1e6
    z, log_det = prior.forward_and_log_det(x)
    z_far, log_det_far = prior.forward_and_log_det(far)
    np.testing.assert_array_equal(z[:, 4:], z_far[:, 4:])
    np.testing.assert_array_equal(log_det, log_det_far)
    assert layers.FactorOut.from_config(prior.get_config()).affine.input_limit == 3.0


def test_a_limit_is_positive():
    with pytest.raises(ValueError, match=r"input_limit must be positive. Received: -1"):
        layers.AffineCoupling(input_limit=-1)


def test_layers_of_other_limits_are_not_of_one_structure():
    flow = [layers.AffineCoupling(conditioner=MLP((4,)), input_limit=c) for c in (None, 2.0, 2.0)]
    for layer in flow:
        layer.build((None, 4))
    names = [layers.structure.structure(layer) for layer in flow]
    assert names[0] != names[1] == names[2]


@pytest.mark.slow
def test_no_sample_of_the_zoo_runs_into_white():
    """Before there was a limit five of these 64 had a white region."""
    flow = zoo.load("glow-fashion-mnist")
    white = (ops.convert_to_numpy(flow.sample(64, seed=0)) >= 255).mean(axis=(1, 2, 3))
    assert white.max() < 0.1
