"""VAEs as models: fit, save, export, conditions, recipes and refused arguments."""

import warnings

import keras
import numpy as np
import pytest
from linear_vae import LinearVAE, numpy

import tfflows
from tfflows import layers, models, vae
from tfflows.evaluation import evaluate
from tfflows.vae import POSTERIORS


def digits(n=200):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 4, (n, 1, 1, 1))
    return ((np.arange(8)[:, None] // 2 == rows) | (rng.random((n, 8, 8, 1)) < 0.05)).astype(
        "uint8"
    )


def small(posterior=None, **kwargs):
    return vae.VAE(
        vae.MLPEncoder((16,)), vae.MLPDecoder((16,)), (8, 8, 1), (4,), posterior, **kwargs
    )


# The layers of the slow ones stand in the table of all layers.
QUICK = ("gaussian", "planar", "iaf")
CASES = [pytest.param(p, marks=[] if p in QUICK else pytest.mark.slow) for p in POSTERIORS]


@pytest.mark.parametrize("posterior", CASES)
def test_each_posterior_trains_and_its_file_has_the_same_bounds(posterior, tmp_path):
    arguments = {"ffjord": {"hidden_units": (4,), "num_steps": 1}, "nsf": {"hidden_units": 4}}
    made = POSTERIORS[posterior](**arguments.get(posterior, {}))
    model, x = small(made), digits()
    model.compile(keras.optimizers.Adam(1e-2), kl_warmup_steps=10)
    logs = model.fit(x, epochs=4, batch_size=50, verbose=0, validation_data=x[:50]).history
    assert logs["loss"][-1] < logs["loss"][0] - 1
    assert {"kl", "active_units", "val_nll", "val_kl"} <= set(logs)
    np.testing.assert_allclose(logs["nll"], logs["loss"], rtol=1e-4)
    model.save(tmp_path / "vae.keras")
    again = tfflows.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(numpy(again.elbo(x[:9])), numpy(model.elbo(x[:9])), rtol=1e-5)
    np.testing.assert_allclose(numpy(again.sample(3, seed=1)), numpy(model.sample(3, seed=1)))


def test_a_posterior_by_name_is_made_again_from_its_name(tmp_path):
    model, x = small("nsf"), digits(9)
    model.save(tmp_path / "vae.keras")
    again = tfflows.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(numpy(again.elbo(x)), numpy(model.elbo(x)), rtol=1e-5)


def test_a_flow_is_a_posterior_and_another_a_prior(tmp_path):
    posterior = models.RealNVP((4,), 2, (8,), condition_shape=(16,))
    model = small(posterior, prior=models.MAF((4,), 1, hidden_units=(8,)))
    model.save(tmp_path / "vae.keras")
    again, x = tfflows.load_model(tmp_path / "vae.keras"), digits(9)
    np.testing.assert_allclose(numpy(again.elbo(x)), numpy(model.elbo(x)), rtol=1e-5)
    names = [w.path for w in model.trainable_weights]
    assert len(names) == len(set(names))


def test_the_logs_are_those_of_the_vae_and_not_of_flows_within_it():
    posterior = models.NICE((4,), 1, (4,), condition_shape=(16,))
    model = small(posterior, prior=models.NICE((4,), 1, (4,)))
    model.compile("adam")
    logs = model.evaluate(digits(20), verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["nll"], logs["loss"], rtol=1e-5)
    np.testing.assert_allclose(logs["nll"], -np.mean(numpy(model.elbo(digits(20)))), rtol=1e-5)


def test_chunks_and_single_rows_give_what_all_rows_give():
    model, x = small("iaf"), digits(7)
    whole = numpy(model.elbo(x))
    np.testing.assert_allclose(numpy(model.elbo(x, batch_size=3)), whole, rtol=1e-5)
    np.testing.assert_allclose(numpy(model.elbo(x[4:5])), whole[4:5], rtol=1e-5)
    np.testing.assert_allclose(numpy(model.log_prob(x, num_draws=1)), whole, rtol=1e-5)
    several = numpy(model.log_prob(x, num_draws=5))
    np.testing.assert_allclose(
        numpy(model.log_prob(x, num_draws=5, batch_size=2)), several, rtol=1e-5
    )
    np.testing.assert_array_equal(
        numpy(model.sample(5, seed=3)), numpy(model.sample(5, seed=3, batch_size=2))
    )
    x, bounds = model.sample_and_log_prob(4, seed=0)
    np.testing.assert_allclose(numpy(bounds), numpy(model.elbo(x)), rtol=1e-5)


def test_a_condition_goes_to_encoder_and_decoder(tmp_path):
    x = digits(64)
    classes = np.eye(4, dtype="float32")[x.sum(axis=(2, 3)).reshape(64, 4, 2).sum(2).argmax(1)]
    model = small(condition_shape=(4,), prior=models.RealNVP((4,), 2, (8,), condition_shape=(4,)))
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit((x, classes), epochs=2, batch_size=32, verbose=0)
    right, wrong = model.elbo(x, classes), model.elbo(x, np.roll(classes, 1, axis=1))
    assert not np.allclose(numpy(right), numpy(wrong))
    assert model.sample(3, classes[:1], seed=0).shape == (3, 8, 8, 1)
    assert model.reconstruct(x[:2], classes[:2]).shape == (2, 8, 8, 1)
    with pytest.raises(ValueError, match="expects a condition"):
        model.elbo(x)


def test_a_saved_model_has_the_bounds_and_samples_of_the_vae(tmp_path):
    model, x = small("planar"), digits(5).astype("float32")
    served = tfflows.load_model(model.export(tmp_path / "model"))
    assert {"elbo", "reconstruct", "encode", "decode", "sample", "log_prob"} <= set(
        served.signatures
    )
    np.testing.assert_allclose(served.log_prob(x), numpy(model.elbo(x)), rtol=1e-4)
    np.testing.assert_allclose(served.encode(x), numpy(model.encode(x)), atol=1e-5)
    z = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(served.inverse(z), numpy(model.decode(z)), atol=1e-5)
    np.testing.assert_array_equal(served.sample(6, seed=5), numpy(model.sample(6, seed=5)))
    again = served.signatures["reconstruct"](x=x)["x"].numpy()
    np.testing.assert_allclose(again, numpy(model.reconstruct(x)), atol=1e-5)
    assert evaluate(served, x).round_trip_error is None


def test_evaluate_tells_no_round_trip_and_takes_draws():
    model, x = small(), digits(20)
    one = evaluate(model, [x[:10], x[10:]])
    many = evaluate(model, x, num_draws=50)
    assert one.round_trip_error is None
    assert one.is_discrete
    expected = numpy(model.log_prob(x, num_draws=50)).mean()
    np.testing.assert_allclose(many.log_likelihood, expected, rtol=1e-5)
    assert many.num_draws == 50


def test_convolutions_make_features_of_each_pixel():
    model = vae.VAE(
        vae.ConvEncoder((4, 6), (2, 2), 8, 3),
        vae.ConvDecoder((8, 12), (6, 4), (2, 2), 5, 3),
        (8, 12, 3),
        (2,),
        likelihood="discretized_logistic",
    )
    x = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3))
    assert np.isfinite(numpy(model.elbo(x))).all()
    assert model.reconstruct(x).shape == (2, 8, 12, 3)
    assert model.flow_layers[-1].head.kernel.shape == (4, 6)  # two parameters for each channel


def test_preprocessing_has_its_log_det_in_the_bound():
    linear = LinearVAE(orthogonal=True, preprocessing=[layers.DiagonalScaling()])
    scale = np.array([0.5, -0.3, 0.2, 0.1], "float32")
    linear.vae.flow_layers[0].log_scale.assign(scale)
    z = linear.draw(10)
    x = z * np.exp(-scale)
    np.testing.assert_allclose(numpy(linear.vae.elbo(x)), linear.log_prob(z) + 0.5, atol=1e-4)
    np.testing.assert_allclose(
        numpy(linear.vae.log_prob(x, num_draws=3)), linear.log_prob(z) + 0.5, atol=1e-4
    )
    several = numpy(linear.vae.sample(3, seed=0))
    assert several.shape == (3, 4)


def test_unused_latents_are_counted_and_warned_of():
    model, x = small(), digits(100)
    model.flow_layers[-1].decoder.trainable = False
    for weight in model.flow_layers[-1].decoder.weights:
        weight.assign(0 * weight)
    model.compile(keras.optimizers.Adam(1e-2))
    with pytest.warns(UserWarning, match="Only 0 of 4 latents vary with the data"):
        logs = model.fit(x, epochs=1, batch_size=50, verbose=0).history
    assert logs["active_units"] == [0]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Only . of 2 latents")
        linear = LinearVAE(orthogonal=True)
        linear.vae.compile(keras.optimizers.Adam(1e-6))
        logs = linear.vae.fit(linear.draw(200), verbose=0).history
    assert logs["active_units"] == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"posterior": models.RealNVP((3,), 1, (4,))}, r"event_shape=\(4,\).*Received: \(3,\) and"),
        ({"posterior": "planer"}, "no posterior 'planer'"),
        ({"prior": models.RealNVP((3,), 1, (4,))}, r"event_shape=\(4,\), that of the latents"),
        ({"preprocessing": [layers.DiagonalScaling()]}, "preprocessing is for real data"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


def test_a_posterior_whose_draws_jump_is_refused():
    base = tfflows.distributions.MixtureOfGaussians(3)
    flow = models.RealNVP((4,), 1, (8,), base=base, condition_shape=(16,))
    with pytest.raises(ValueError, match=r"smooth in its parameters.*MixtureOfGaussians"):
        small(flow)


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="encoder must be a Keras layer"):
        vae.VAE("mlp", vae.MLPDecoder((4,)), (4,), (2,))
    with pytest.raises(ValueError, match="must divide height and width"):
        vae.ConvDecoder((7, 8), (4,), (2,))
    model = small()
    with pytest.raises(ValueError, match="trained by an ELBO"):
        model.compile("adam", objective="flow_matching")
    with pytest.raises(ValueError, match="kl_warmup_steps must be a number from 0"):
        model.compile("adam", kl_warmup_steps=-1)
    with pytest.raises(ValueError, match="num_draws must be an integer from 1"):
        model.log_prob(digits(2), num_draws=0)
    with pytest.raises(ValueError, match="does not know the posterior"):
        model.inverse_and_log_det(np.zeros((1, 4), "float32"))
    with pytest.raises(ValueError, match="trains a VAE"):
        models.RealNVP((2,), 1, (4,)).compile("adam", objective=vae.ELBO())
