"""Layers run the other way."""

import numpy as np
import pytest

from tfflows import layers
from tfflows.distributions import StandardNormal

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def test_forward_is_the_inverse_and_back():
    radial = layers.Radial()
    layer = layers.Invert(radial)
    z, log_det = layer.forward_and_log_det(X)
    for got, wanted in zip((z, log_det), radial.inverse_and_log_det(X), strict=True):
        np.testing.assert_array_equal(got, wanted)
    for got, wanted in zip(
        layer.inverse_and_log_det(X), radial.forward_and_log_det(X), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(layer.inverse(X), radial.forward_and_log_det(X)[0])
    np.testing.assert_array_equal(layers.Invert(layer)(X), radial(X))


def test_shapes_are_those_of_the_other_side():
    layer = layers.Invert(layers.AdditiveLogRatio())
    shares = layer(X)
    assert tuple(shares.shape) == (6, 5)
    np.testing.assert_allclose(np.sum(shares, axis=1), 1, atol=1e-6)
    flatten = layers.Flatten()
    flatten.build((None, 2, 2, 1))
    images = layers.Invert(flatten)(X)
    np.testing.assert_array_equal(images, X.reshape(6, 2, 2, 1))


def test_a_layer_without_its_statistics_is_refused():
    standardize = layers.Standardize()
    layer = layers.Invert(standardize)
    assert layer.needs_adapt
    with pytest.raises(ValueError, match=r"call `adapt` of standardize.* first. Received"):
        layer.adapt(X)
    standardize.adapt(3 * X + 1)
    layer.adapt(X)  # has nothing to take
    np.testing.assert_allclose(layer(standardize(X)), X, atol=1e-5)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"layer must be a flow layer. Received: 3"):
        layers.Invert(3)
    with pytest.raises(ValueError, match=r"must have its dtype, float64"):
        layers.Invert(layers.Planar(dtype="float32"), dtype="float64")


def test_a_normal_posterior_is_an_affine_layer_run_the_other_way():
    """Its scales of up to 1e3 need "soft_clip"; configs without `log_scale` are of before."""
    shift, log_scale = np.float32([1, -2, 0, 3]), np.float32([2, -1, 0, 1])
    affine = layers.ConditionalAffine("soft_clip")
    affine.build((None, 4))
    affine.bias.assign(np.concatenate([log_scale / (1 - np.abs(log_scale) / np.log(1e3)), shift]))
    base = StandardNormal()
    base.build((None, 4))
    z, log_det = layers.Invert(affine).forward_and_log_det(X)
    wanted = -0.5 * ((X - shift) / np.exp(log_scale)) ** 2 - log_scale - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(base.log_prob(z) + log_det, wanted.sum(axis=1), rtol=1e-4)
    config = affine.get_config()
    assert config.pop("log_scale") == "soft_clip"
    assert layers.ConditionalAffine.from_config(config).log_scale == "two_sigmoid"
    with pytest.raises(ValueError, match=r"log_scale must be one of .* Received: 'exp'"):
        layers.ConditionalAffine("exp")
