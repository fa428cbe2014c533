"""What tokens see, and the ways back against the definition."""

import contextlib

import numpy as np
import pytest
from keras import ops
from layer_table import randomize

from tfflows.layers import TransformerAutoregressive, transformer_autoregressive
from tfflows.layers.guidance import guided
from tfflows.models import TarFlow
from tfflows.networks import CausalTransformer, causal_transformer
from tfflows.transforms import LogisticMixtureCDF

SMALL = {"width": 8, "num_blocks": 2, "num_heads": 2, "context": 1}
CONDITION = np.random.default_rng(1).normal(size=(5, 3)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def make(shape=(3, 4, 2), weights=None, **kwargs):
    layer = TransformerAutoregressive(**SMALL, **kwargs)
    layer.build((None, *shape), (None, 3))
    randomize(layer, spread=0.5)
    if weights is not None:
        layer.set_weights(weights)
    return layer


def rows(shape=(3, 4, 2)):
    return np.random.default_rng(0).normal(size=(5, *shape)).astype("float32")


@pytest.mark.parametrize("at_once", [1, 3, 5, 64])
def test_causal_attention_by_blocks_is_that_of_keras(at_once, monkeypatch):
    monkeypatch.setattr(causal_transformer, "QUERIES_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(2, 5, 3, 4)).astype("float32") for _ in range(3)]
    wanted = ops.dot_product_attention(*given, is_causal=True)
    found = causal_transformer.causal_attention(*map(ops.convert_to_tensor, given))
    np.testing.assert_allclose(numpy(found), numpy(wanted), atol=1e-5)


def test_outputs_see_the_tokens_before_and_nothing_else():
    """The finite difference of each output in each token is zero, or not, as the order says."""
    network = CausalTransformer(2, 8, 1, 2, context=1, dtype="float64")
    network.build((None, 3, 2, 1))
    randomize(network, spread=1.0)
    x = np.random.default_rng(0).normal(size=(20, 3, 2, 1))
    before = numpy(network(x)).reshape(20, 6, 2)
    for token in range(6):
        moved = x.reshape(20, 6) + np.eye(6)[token]
        after = numpy(network(moved.reshape(x.shape))).reshape(20, 6, 2)
        changed = np.abs(after - before).max(axis=(0, 2)) > 0
        np.testing.assert_array_equal(changed, np.arange(6) > token)


def test_every_way_back_is_the_loop_of_full_passes():
    definition, z = make(inversion="sequential"), rows()
    wanted, wanted_log_det = definition.inverse_and_log_det(z, CONDITION)
    for inversion in ("cached", "block_jacobi", "jacobi"):
        layer = make(weights=definition.get_weights(), inversion=inversion)
        x, log_det = layer.inverse_and_log_det(z, CONDITION)
        np.testing.assert_allclose(x, wanted, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(log_det, wanted_log_det, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(definition(x, CONDITION), z, atol=1e-4)


@pytest.mark.parametrize(
    ("inversion", "tokens"), [("cached", 1), ("cached", 5), ("block_jacobi", 5)]
)
def test_loops_in_stages_are_the_loop_of_full_passes(inversion, tokens, monkeypatch):
    monkeypatch.setattr(transformer_autoregressive, "MIN_STAGE_TOKENS", tokens)
    monkeypatch.setattr(transformer_autoregressive, "MAX_STAGES", 5)
    definition, z = make(inversion="sequential"), rows()
    strength = ops.convert_to_tensor(np.linspace(0, 2, 5).astype("float32"))
    layer = make(weights=definition.get_weights(), inversion=inversion)
    for scope in (contextlib.nullcontext(), guided(strength)):
        with scope:
            wanted, wanted_log_det = definition.inverse_and_log_det(z, CONDITION)
            x, log_det = layer.inverse_and_log_det(z, CONDITION)
        np.testing.assert_allclose(x, wanted, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(log_det, wanted_log_det, atol=1e-4, rtol=1e-4)
    assert layer.inverse(z[:0], CONDITION[:0]).shape == (0, 3, 4, 2)


@pytest.mark.parametrize(
    ("steps", "tokens", "wanted"),
    [
        (784, 1, [196, 392, 588, 784]),
        (28, 28, [7, 14, 21, 28]),
        (196, 1, [98, 196]),
        (100, 2, [50, 100]),
        (1, 784, [1]),
        (16, 1, [16]),
    ],
)
def test_stages_divide_the_steps(steps, tokens, wanted):
    stages = transformer_autoregressive._stages(steps, tokens)
    assert stages == list(zip([0, *wanted], wanted, strict=False))


def test_mixtures_of_tokens_are_inverted_with_caches():
    layer = make((3, 1), transform=LogisticMixtureCDF(2))
    x = rows((3, 1))
    z, log_det = layer.forward_and_log_det(x, CONDITION)
    back, inverse_log_det = layer.inverse_and_log_det(z, CONDITION)
    np.testing.assert_allclose(back, x, atol=1e-4)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-3)


def test_guidance_moves_parameters_away_from_those_without_a_condition():
    """Of one token, whose parameters follow from the condition only."""
    layer = make((1, 1, 2))
    z, strength = rows((1, 1, 2)), np.linspace(0, 2, 5).astype("float32")
    given, free = (
        numpy(layer.network(np.zeros_like(z), each)) for each in (CONDITION, 0 * CONDITION)
    )
    parameters = given + strength[:, None, None, None] * (given - free)
    s, shift = np.split(parameters, 2, axis=-1)
    wanted = (z - shift) * np.exp(-s / (1 + np.abs(s) / np.log(1e3)))
    with guided(ops.convert_to_tensor(strength)):
        x = layer.inverse(z, CONDITION)
    np.testing.assert_allclose(x, wanted, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(x[0], layer.inverse(z, CONDITION)[0], atol=1e-5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"inversion must be one of .*Received: 'cache'"):
        TransformerAutoregressive(inversion="cache")
    with pytest.raises(ValueError, match=r"num_heads divide width. Received: width=8, .*heads=3"):
        TransformerAutoregressive(width=8, num_heads=3).build((None, 4, 2))
    with pytest.raises(ValueError, match=r"expects events .*Received: event of shape \(4,\)"):
        TransformerAutoregressive().build((None, 4))
    with pytest.raises(ValueError, match=r"patch = 3 divides. 30 x 30 would fit"):
        TarFlow((28, 28, 1), patch=3)
    with pytest.raises(ValueError, match=r"Guidance expects a model .*condition_shape=None"):
        TarFlow((4, 4, 1), width=4, num_blocks=1).sample(2, guidance=1.0)
