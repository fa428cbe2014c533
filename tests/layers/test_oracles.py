"""Layers against TensorFlow Probability's bijectors with the same parameters."""

import numpy as np
import pytest
from layer_table import randomize
from marks import needs_tensorflow

from tfflows.layers import (
    AffineCoupling,
    Blockwise,
    InverseAutoregressive,
    InverseSoftplus,
    Log,
    Logit,
    MaskedAutoregressive,
    Ordered,
    Permute,
)
from tfflows.networks import MLP

pytestmark = needs_tensorflow
X = np.random.default_rng(0).normal(size=(6, 5))


@pytest.fixture(scope="module")
def tfb():
    return pytest.importorskip("tensorflow_probability").bijectors


def compare(layer, bijector, x):
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(z, bijector.forward(x), rtol=1e-10)
    wanted = bijector.forward_log_det_jacobian(x, event_ndims=1)
    np.testing.assert_allclose(log_det, np.broadcast_to(wanted, (len(x),)), atol=1e-10)
    np.testing.assert_allclose(layer.inverse(z), bijector.inverse(np.asarray(z)), atol=1e-10)


def test_affine_coupling_is_real_nvp(tfb):
    layer = AffineCoupling(conditioner=MLP((8,), dtype="float64"), dtype="float64")
    layer.build((None, 5))
    randomize(layer)

    def shift_and_log_scale(kept, output_units, **condition):
        s, shift = layer._parameters(kept, None)
        return shift, layer._transform._bound(s)

    compare(layer, tfb.RealNVP(3, shift_and_log_scale_fn=shift_and_log_scale), X)


@pytest.mark.parametrize("layer_class", [MaskedAutoregressive, InverseAutoregressive])
def test_autoregressive_layers_are_tfps(tfb, layer_class):
    """TFP loops over the elements from parameters to data, in the direction opposite to MAF's."""
    layer = layer_class(hidden_units=(8, 9), dtype="float64")
    layer.build((None, 5))
    randomize(layer)

    def shift_and_log_scale(seen):
        s, shift = (layer.network(seen)[:, i] for i in range(2))
        log_scale = layer.transform._bound(s)
        return -shift * np.exp(-log_scale), -log_scale

    bijector = tfb.MaskedAutoregressiveFlow(shift_and_log_scale)
    compare(layer, tfb.Invert(bijector) if layer_class is MaskedAutoregressive else bijector, X)


def test_logit_is_the_inverse_of_a_scaled_sigmoid(tfb):
    alpha = np.float64(0.05)
    squash = tfb.Sigmoid(low=-alpha / (1 - 2 * alpha), high=(1 - alpha) / (1 - 2 * alpha))
    x = np.random.default_rng(0).uniform(0.01, 0.99, (6, 5))
    compare(Logit(float(alpha), dtype="float64"), tfb.Invert(squash), x)


@pytest.mark.parametrize("alpha", [0, 0.05])
def test_logit_of_an_interval_is_the_inverse_of_a_scaled_sigmoid(tfb, alpha):
    margin = 5 * np.float64(alpha) / (1 - 2 * alpha)
    x = np.random.default_rng(0).uniform(-1.95, 2.95, (6, 5))
    layer = Logit(alpha, low=-2, high=3, dtype="float64")
    compare(layer, tfb.Invert(tfb.Sigmoid(low=-2 - margin, high=3 + margin)), x)


def test_layers_of_supports_are_tfps(tfb):
    positive = np.random.default_rng(0).lognormal(sigma=3, size=(6, 5))
    compare(Log(dtype="float64"), tfb.Log(), positive)
    compare(InverseSoftplus(dtype="float64"), tfb.Invert(tfb.Softplus()), positive)


def test_ordered_is_the_inverse_of_ascending_with_exponential_gaps(tfb):
    """TFP's `Ascending` has gaps of softplus, and its `Ordered` is gone."""
    x = np.cumsum(np.random.default_rng(0).lognormal(size=(6, 5)), axis=1)
    gaps = tfb.Blockwise([tfb.Identity(), tfb.Exp()], block_sizes=[1, 4])
    compare(Ordered(dtype="float64"), tfb.Invert(tfb.Chain([tfb.Cumsum(), gaps])), x)


def test_blockwise_is_blockwise(tfb):
    x = np.random.default_rng(0).uniform(0.1, 0.9, (6, 5))
    layer = Blockwise(
        [Log(dtype="float64"), None, Logit(0, dtype="float64")], [2, 1, 2], dtype="float64"
    )
    bijectors = [tfb.Log(), tfb.Identity(), tfb.Invert(tfb.Sigmoid())]
    compare(layer, tfb.Blockwise(bijectors, block_sizes=[2, 1, 2]), x)


def test_permute_is_permute(tfb):
    order = [3, 1, 0, 4, 2]
    compare(Permute(order, dtype="float64"), tfb.Permute(np.asarray(order)), X)
