"""What is the image flows' own: rotations, learned priors, borders, tokens, latents."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize

from tfflows import datasets, layers
from tfflows.backend import compilation
from tfflows.evaluation import latents
from tfflows.models import Glow, Jet, TarFlow
from tfflows.networks import GlowNet, conv3x3, glow_net, zero_conv


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize(("channels", "filters"), [(2, 18), (18, 2)])
def test_products_of_matrices_are_the_convolution(channels, filters):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5, 4, channels)).astype("float32")
    kernel = rng.normal(size=(3, 3, channels, filters)).astype("float32")
    wanted = numpy(ops.conv(x, kernel, padding="same"))
    rows = conv3x3.product_of_patches(ops.convert_to_tensor(x), ops.convert_to_tensor(kernel))
    np.testing.assert_allclose(ops.reshape(rows, wanted.shape), wanted, atol=1e-4)
    y = conv3x3.sum_of_shifts(ops.convert_to_tensor(x), ops.convert_to_tensor(kernel))
    np.testing.assert_allclose(y, wanted, atol=1e-4)
    with compilation.xla_scope(True):  # in TensorFlow's graphs convolutions are as fast
        assert conv3x3.patches_pay(kernel.shape) == (channels == 2)
        assert conv3x3.shifts_pay(kernel.shape) == (channels == 18)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_glow_compiled_by_xla_is_the_one_of_a_graph(monkeypatch, checkpoint):
    """With 18 filters XLA's forms of both convolutions stand in it, in training as well."""
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype("float32")
    used = []
    for name in ("product_of_patches", "sum_of_shifts"):
        function = getattr(conv3x3, name)

        def spy(*args, name=name, function=function):
            used.append(name)
            return function(*args)

        for module in (glow_net, zero_conv):
            monkeypatch.setattr(module, name, spy, raising=False)
    losses = []
    for jit in (True, False):
        keras.utils.set_random_seed(0)
        flow = Glow((4, 4, 1), 1, 2, 36, quantization_levels=None, checkpoint=checkpoint)
        randomize(flow, spread=0.1)
        flow.compile(keras.optimizers.SGD(0.01), jit_compile=jit)
        history = flow.fit(x, batch_size=8, epochs=2, verbose=0).history
        losses.append([*history["loss"], *numpy(flow.log_prob(x))])
        if jit:
            assert set(used) == {"product_of_patches", "sum_of_shifts"}
            used.clear()
    assert not used or keras.backend.backend() == "jax"
    np.testing.assert_allclose(*losses, rtol=1e-4)


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
    with pytest.raises(ValueError, match=r"expects an invertible kernel. Received: weights with a"):
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


@pytest.mark.slow
def test_training_raises_the_likelihood_given_the_class_and_stays_invertible():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 256)
    stripes = np.indices((4, 4)) % 2 * 12  # rows for one class, columns for the other
    x = (stripes[labels] + rng.integers(0, 4, (256, 4, 4)))[..., None].astype("uint8")
    classes = np.eye(2, dtype="float32")[labels]
    glow = Glow((4, 4, 1), 2, 1, 8, quantization_levels=17, condition_shape=(2,))
    glow.compile(keras.optimizers.Adam(1e-2))
    history = glow.fit((x, classes), epochs=30, batch_size=64, verbose=0).history
    assert history["bits_per_dim"][-1] < 2.6  # log2(4) = 2 at best, log2(17) = 4.1 for no model
    swapped = numpy(glow.log_prob(x, classes[:, ::-1])).mean()
    assert numpy(glow.log_prob(x, classes)).mean() > swapped + 10
    z = glow.encode(x, classes)
    assert (numpy(glow.inverse(z, classes)) == x).mean() > 0.999


def test_a_padded_glow_scores_the_images_own_pixels():
    glow = randomize(Glow((5, 6, 1), 2, 1, 4, quantization_levels=4, pad=True), spread=0.1)
    assert glow.dims == 30
    assert glow.latent_shape == (64,)
    assert glow.data_range == (0, 3)
    x = np.random.default_rng(0).integers(0, 4, (6, 5, 6, 1)).astype("uint8")
    np.testing.assert_array_equal(glow.inverse(glow.encode(x)), x)
    assert glow.sample(3, seed=0).shape == (3, 5, 6, 1)
    # The same stack on images that come with the border has the same density, to one draw of noise.
    whole = Glow((8, 8, 1), 2, 1, 4, quantization_levels=4)
    whole.set_weights(glow.get_weights())
    bordered = np.pad(x, [(0, 0), (1, 2), (1, 1), (0, 0)])
    np.testing.assert_allclose(glow.log_prob(x), whole.log_prob(bordered), rtol=1e-5)
    several = glow.log_prob(x, num_draws=4)
    np.testing.assert_allclose(several, whole.log_prob(bordered, num_draws=4), rtol=1e-5)
    with pytest.raises(ValueError, match="from 0 to 3"):
        glow.log_prob(x + 4)


@pytest.mark.parametrize("model", [Jet, TarFlow])
def test_padded_transformer_flows_score_the_images_own_pixels(model):
    settings = {"patch": 4, "depth": 2, "width": 8, "num_heads": 2, "quantization_levels": 4}
    flow = randomize(model((5, 6, 1), pad=True, **settings), spread=0.1)
    assert flow.dims == 30
    x = np.random.default_rng(0).integers(0, 4, (6, 5, 6, 1)).astype("uint8")
    np.testing.assert_array_equal(flow.inverse(flow.encode(x)), x)
    whole = model((8, 8, 1), **settings)
    whole.set_weights(flow.get_weights())
    bordered = np.pad(x, [(0, 0), (1, 2), (1, 1), (0, 0)])
    np.testing.assert_allclose(flow.log_prob(x), whole.log_prob(bordered), rtol=1e-5)
    with pytest.raises(ValueError, match=r"patch = 4 divides\. 8 x 8 would fit: pad=True"):
        model((5, 6, 1), **settings)


def test_a_checkpointed_glow_has_the_gradients_of_a_plain_one():
    x = np.random.default_rng(0).integers(0, 9, (16, 4, 4, 1)).astype("uint8")
    weights = []
    for checkpoint in (False, True):
        glow = Glow((4, 4, 1), 2, 1, 4, quantization_levels=9, checkpoint=checkpoint)
        glow.adapt(x)
        randomize(glow, spread=0.1)
        glow.compile(keras.optimizers.SGD(1e-3))
        glow.flow_layers[0].seed_generator.state.assign([1, 2])
        glow.fit(x, epochs=2, shuffle=False, verbose=0)
        weights.append(glow.get_weights())
    for plain, checkpointed in zip(*weights, strict=True):
        np.testing.assert_allclose(checkpointed, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_three_levels_invert_real_images_after_training(policy):
    """The short form of scripts/check_glow_numerics.py; `fit` stops at losses not finite."""
    keras.utils.set_random_seed(0)
    x, _ = datasets.load_arrays("digits", "train")
    settings = {"num_levels": 3, "depth": 1, "filters": 8, "quantization_levels": 17, "logit": 1e-4}
    glow = Glow((8, 8, 1), **settings, dtype=policy)
    glow.compile(keras.optimizers.Adam(3e-3, clipnorm=100.0))
    nll = glow.fit(x, batch_size=64, epochs=4, verbose=0).history["nll"]
    assert nll[-1] < nll[0] - 10
    single = Glow((8, 8, 1), **settings)
    single.set_weights(glow.get_weights())
    dequantize, *rest = single.flow_layers
    z = pixels = dequantize(x[:200])
    for layer in rest:
        z = layer(z)
    for layer in reversed(rest):
        z = layer.inverse(z)
    assert np.abs(numpy(z) - numpy(pixels)).max() < 1e-4


def test_latents_are_blended_and_moved():
    glow = randomize(
        Glow((4, 4, 1), 1, 2, 4, quantization_levels=17, condition_shape=(2,)), spread=0.1
    )
    rng = np.random.default_rng(0)
    x = rng.integers(0, 17, (6, 4, 4, 1)).astype("uint8")
    c = np.eye(2, dtype="float32")[rng.integers(0, 2, 6)]
    line = numpy(latents.interpolate(glow, x[0], x[1], 5, c[:1]))
    np.testing.assert_array_equal(line[[0, -1]], x[:2])
    assert line.shape == (5, 4, 4, 1)
    middle = glow.inverse((glow.encode(x[:1], c[:1]) + glow.encode(x[1:2], c[:1])) / 2, c[:1])
    np.testing.assert_array_equal(line[2:3], middle)
    direction = latents.attribute_direction(glow, x[:3], x[3:], c[:3], c[3:])
    z = numpy(glow.encode(x, c))
    np.testing.assert_allclose(direction, z[:3].mean(0) - z[3:].mean(0), atol=1e-5)
    moved = latents.change_attribute(glow, x, direction, 0.5, c)
    np.testing.assert_array_equal(moved, glow.inverse(z + 0.5 * direction, c))
    np.testing.assert_array_equal(latents.change_attribute(glow, x, direction, 0, c), x)
    with pytest.raises(ValueError, match=r"latents' shape \(16,\). Received: shape \(3,\)"):
        latents.change_attribute(glow, x, np.ones(3))
    with pytest.raises(ValueError, match=r"the two ends. Received: 1"):
        latents.interpolate(glow, x[0], x[1], 1, c[:1])


@pytest.mark.slow
def test_jet_takes_an_odd_number_of_patches_and_moves_every_element():
    jet = randomize(Jet((6, 6, 1), 2, 8, 4, 1, 1, quantization_levels=17), spread=0.3)
    couplings = [layer for layer in jet.flow_layers if isinstance(layer, layers.AffineCoupling)]
    kept = [np.asarray(layer.partition) for layer in couplings if layer.partition != "channel"]
    assert [mask.shape for mask in kept] == [(9, 4)] * 2
    assert not np.array_equal(*kept)
    x = np.random.default_rng(0).integers(0, 17, (5, 6, 6, 1)).astype("uint8")
    z = numpy(jet.encode(x))
    assert z.shape == (5, 9, 4)
    np.testing.assert_array_equal(jet.inverse(z), x)
    assert (np.abs(z - numpy(jet.encode(x[:, ::-1]))) > 0).all()


def test_a_glow_of_mixtures_has_the_determinant_of_its_jacobian_and_goes_back():
    flow = Glow(
        (4, 4, 1), 1, 1, 4, coupling="logistic_mixture", quantization_levels=None, dtype="float64"
    )
    randomize(flow, spread=0.3)
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 1))
    z, log_det = flow.forward_and_log_det(x)
    np.testing.assert_allclose(flow.inverse(z), x, atol=1e-6)
    step = 1e-5 * np.eye(16).reshape(16, 4, 4, 1)
    ends = [numpy(flow.encode(x + sign * step)).reshape(16, -1) for sign in (1, -1)]
    jacobian = (ends[0] - ends[1]) / 2e-5
    np.testing.assert_allclose(np.linalg.slogdet(jacobian)[1], numpy(log_det)[0], atol=1e-5)
