"""What is Glow's own: rotations at the start, a learned prior, matrices that stay invertible."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize

from tfflows import layers
from tfflows.models import Glow
from tfflows.networks import GlowNet


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("form", layers.invertible_conv1x1.FORMS)
def test_a_1x1_convolution_starts_as_a_rotation_of_the_channels(form):
    layer = layers.InvertibleConv1x1(form, seed=3)
    x = np.random.default_rng(0).normal(size=(6, 2, 2, 5)).astype("float32")
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(log_det, 0.0, atol=1e-5)
    norms = [np.linalg.norm(v, axis=-1) for v in (x, numpy(z))]
    np.testing.assert_allclose(*norms, rtol=1e-5)
    assert np.abs(numpy(z) - x).max() > 0.5
    other = layers.InvertibleConv1x1("plain", seed=3)
    np.testing.assert_allclose(other(x), z, atol=1e-5)


def test_the_convolution_is_keras_own():
    """z = W x is a 1x1 convolution with the kernel W transposed."""
    layer = layers.InvertibleConv1x1("plain", seed=0)
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")
    z = layer(x)
    kernel = ops.transpose(layer.kernel)[None, None]
    np.testing.assert_allclose(ops.conv(x, kernel), z, atol=1e-5)


def test_a_singular_matrix_is_refused_when_it_is_loaded(tmp_path):
    model = keras.Sequential([keras.Input((2, 2, 3)), layers.InvertibleConv1x1("plain", seed=0)])
    model.layers[0].kernel.assign(np.ones((3, 3)))
    model.save(tmp_path / "singular.keras")
    with pytest.raises(ValueError, match=r"wants an invertible kernel. Received: weights with a"):
        keras.saving.load_model(tmp_path / "singular.keras")


def test_a_head_of_its_own_starts_at_zero_and_sees_neighbours():
    network = GlowNet(4)
    coupling = layers.AffineCoupling("channel", 0, network)
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 2)).astype("float32")
    np.testing.assert_array_equal(coupling(x), x)
    randomize(coupling)
    moved = x.copy()
    moved[0, 0, 0, 0] += 1.0
    change = np.abs(numpy(coupling(moved)) - numpy(coupling(x)))[0, ..., 1]
    assert change[2, 2] > 0  # two 3x3 convolutions reach two positions far
    assert change[3:].max() == change[:, 3:].max() == 0


def test_a_glow_has_the_sizes_of_the_paper():
    glow = Glow.of_size("small", (8, 8, 3), depth=2, filters=4, condition_shape=(10,))
    steps = [layer for layer in glow.flow_layers if isinstance(layer, layers.ActNorm)]
    (factor_out,) = (layer for layer in glow.flow_layers if isinstance(layer, layers.FactorOut))
    assert len(steps) == 2
    assert factor_out.inner_shape == (4, 4, 6)
    assert glow.dims == 8 * 8 * 3


def test_training_raises_the_likelihood_given_the_class_and_stays_invertible():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 256)
    stripes = np.indices((4, 4)) % 2 * 12  # rows for one class, columns for the other
    x = (stripes[labels] + rng.integers(0, 4, (256, 4, 4)))[..., None].astype("uint8")
    classes = np.eye(2, dtype="float32")[labels]
    glow = Glow((4, 4, 1), 2, 1, 8, levels=17, condition_shape=(2,))
    glow.compile(keras.optimizers.Adam(1e-2))
    history = glow.fit((x, classes), epochs=30, batch_size=64, verbose=0).history
    assert history["bits_per_dim"][-1] < 2.6  # log2(4) = 2 at best, log2(17) = 4.1 for no model
    swapped = numpy(glow.log_prob(x, classes[:, ::-1])).mean()
    assert numpy(glow.log_prob(x, classes)).mean() > swapped + 10
    z = glow.encode(x, classes)
    assert (numpy(glow.inverse(z, classes)) == x).mean() > 0.999
