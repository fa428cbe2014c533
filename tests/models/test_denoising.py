"""TarFlow on noisy images: Tweedie's formula, samples without noise, no bits per dimension."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow

import tfflows
from tfflows.distributions import StandardLogistic
from tfflows.evaluation import evaluate
from tfflows.layers.guidance import guided
from tfflows.models import TarFlow

SMALL = {"width": 8, "num_blocks": 1, "num_heads": 2}
CLASSES = {"condition_shape": (3,), "condition_dropout": 0.1}


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_of_a_gaussian_it_is_the_posterior_mean():
    """Before training a TarFlow is a Gaussian of its own mean and variance per channel."""
    flow = TarFlow((3, 3, 2), patch=1, depth=2, noise=0.1, **SMALL)
    x = np.random.default_rng(0).integers(0, 256, (50, 3, 3, 2)).astype("float32")
    x[..., 1] = 30 + x[..., 1] // 4
    flow.adapt(x)
    y = np.random.default_rng(1).normal(size=(6, 3, 3, 2)).astype("float32")
    outputs = []
    for values in (np.zeros_like(y[:1]), np.ones_like(y[:1])):
        for layer in flow.flow_layers[1:]:
            values = numpy(layer(values))
        outputs.append(values[0, 0, 0])  # a y + b of a channel, in every pixel
    a, b = outputs[1] - outputs[0], outputs[0]
    mean, variance = -b / a, 1 / a**2 - 0.1**2
    assert (variance > 0).all()
    wanted = (variance * y + 0.1**2 * mean) / (variance + 0.1**2)
    found = flow.denoise(127.5 * (y + 1))
    np.testing.assert_allclose(found, 127.5 * (wanted + 1), rtol=1e-4, atol=1e-2)


def test_the_score_is_the_difference_quotient_of_the_density_given_the_condition():
    flow = TarFlow((2, 2, 1), patch=1, depth=2, noise=0.3, dtype="float64", **SMALL, **CLASSES)
    randomize(flow, spread=0.3)
    y, condition = np.random.default_rng(0).normal(size=(1, 2, 2, 1)), np.eye(3)[1:2]
    moves = np.eye(4).reshape(4, 2, 2, 1) * 1e-5
    densities = []
    for values in (y + moves, y - moves):
        log_det = 0.0
        for layer in flow.flow_layers[1:]:
            values, term = layer.forward_and_log_det(values, np.repeat(condition, 4, axis=0))
            log_det = log_det + numpy(term)
        densities.append(numpy(flow.base(values)) + log_det)
    score = (densities[0] - densities[1]) / 2e-5
    wanted = y + 0.3**2 * score.reshape(y.shape)
    np.testing.assert_allclose(
        flow.denoise(127.5 * (y + 1), condition), 127.5 * (wanted + 1), rtol=1e-6
    )


@pytest.mark.parametrize("guidance", [0.0, 1.5])
def test_samples_are_denoised_before_they_are_rounded(guidance):
    flow = randomize(TarFlow((4, 4, 1), depth=2, noise=0.1, **SMALL, **CLASSES), spread=0.3)
    condition = np.eye(3, dtype="float32")[[0, 1, 2, 2]]
    x = flow.sample(4, condition, seed=3, guidance=guidance, denoise=True)
    z = flow.draw_latents(4, np.asarray([3, 0], "int32"), 1.0, condition)
    with guided(ops.full((4,), guidance)):
        for layer in reversed(flow.flow_layers[1:]):
            z = layer.inverse(z, condition)
    noisy = flow.first_layer.unscale(z)
    wanted = np.clip(np.round(numpy(flow.denoise(noisy, condition))), 0, 255)
    assert (np.abs(numpy(x) - wanted) > 0).mean() < 0.05  # to the rounding of two graphs
    assert np.abs(numpy(x) - wanted).max() <= 1
    assert np.abs(wanted - numpy(flow.sample(4, condition, 3, guidance=guidance))).max() > 1
    pair = flow.sample(4, condition, 3, guidance=guidance, denoise=True, batch_size=2)
    assert np.abs(numpy(pair) - wanted).max() <= 1
    assert flow.sample(0, condition[:1], guidance=guidance, denoise=True).shape == (0, 4, 4, 1)


def test_samples_of_two_levels_come_nearer_to_them():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).choice([64, 192], (512, 2, 2, 1)).astype("uint8")
    base = StandardLogistic()
    flow = TarFlow((2, 2, 1), patch=1, depth=1, num_components=4, base=base, noise=0.1, **SMALL)
    flow.compile(keras.optimizers.Adam(1e-2))
    history = flow.fit(x, epochs=25, batch_size=64, verbose=0).history
    assert history["nll"][-1] < history["nll"][0]
    assert "bits_per_dim" not in history

    def distance(samples):
        return np.median(np.abs(np.abs(numpy(samples) - 128) - 64))

    noisy, clean = (flow.sample(256, seed=0, denoise=denoise) for denoise in (False, True))
    assert distance(noisy) > 5
    assert distance(clean) < 0.5 * distance(noisy)
    given = x + np.random.default_rng(1).normal(size=x.shape) * 0.1 * 127.5
    assert distance(flow.denoise(given)) < 0.5 * distance(given)


def test_the_density_is_reported_as_none_of_discrete_data(tmp_path):
    flow = TarFlow((4, 4, 1), depth=1, noise=0.1, **SMALL)
    assert flow.is_discrete
    assert flow.is_noisy
    x = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1)).astype("uint8")
    result = evaluate(flow, [x])
    assert result.is_noisy
    assert "log-density with noise" in str(result)
    assert "bits/dim" not in str(result)
    flow.compile("adam")
    assert "bits_per_dim" not in flow.evaluate(x, verbose=0, return_dict=True)
    np.testing.assert_array_equal(flow.log_prob(x[3:5]), flow.log_prob(x)[3:5])
    with pytest.raises(ValueError, match="num_draws must be 1"):
        flow.log_prob(x, num_draws=2)
    with pytest.raises(ValueError, match="from 0 to 255"):
        flow.log_prob(x.astype("float32") + 9)
    flow.save(tmp_path / "noisy.keras")
    again = keras.saving.load_model(tmp_path / "noisy.keras")
    np.testing.assert_allclose(again.log_prob(x), flow.log_prob(x), rtol=1e-6)


@needs_tensorflow
def test_a_saved_model_says_that_its_density_is_of_noisy_data(tmp_path):
    flow = randomize(TarFlow((4, 4, 1), depth=1, noise=0.1, **SMALL), spread=0.3)
    served = tfflows.load_model(flow.export(tmp_path / "noisy"))
    assert served.is_noisy
    x = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1)).astype("float32")
    np.testing.assert_allclose(served.log_prob(x), flow.log_prob(x), rtol=1e-5)
    assert evaluate(served, [x], round_trip=False).is_noisy


@pytest.mark.parametrize(
    ("arguments", "came"),
    [
        ({"num_bins": 256}, "num_bins=256"),
        ({"logit": 0.05}, "logit=0.05"),
        ({"variational_dequantization": True}, "variational_dequantization=True"),
        ({"quantization_levels": None}, "quantization_levels=None"),
        ({"patch": 3, "pad": True}, "pad=True"),
    ],
)
def test_what_noise_does_not_go_with_is_refused(arguments, came):
    with pytest.raises(ValueError, match=rf"noise= is Gaussian.*Received: noise=0.05, {came}"):
        TarFlow((4, 4, 1), noise=0.05, **{**SMALL, **arguments})


def test_bad_arguments_are_named():
    plain = TarFlow((4, 4, 1), depth=1, **SMALL)
    assert not plain.is_noisy
    for call in (
        lambda: plain.sample(2, denoise=True),
        lambda: plain.denoise(np.zeros((1, 4, 4, 1))),
    ):
        with pytest.raises(ValueError, match=r"expects a model with noise=.*Received: one without"):
            call()
    with pytest.raises(ValueError, match="noise must be finite and above 0"):
        TarFlow((4, 4, 1), noise=-0.1, **SMALL)
    noisy = TarFlow((4, 4, 1), depth=1, noise=0.1, **SMALL)
    with pytest.raises(ValueError, match=r"Expected x of shape .*Received"):
        noisy.denoise(np.zeros((1, 4, 5, 1)))
