"""What a Flow does as a keras.Model: densities, training, saving, dtype, strategies."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow, slow_on_jax
from model_table import (
    MODELS,
    data_for,
    small_flow,
    small_image_flow,
    small_pixel_nice,
    small_spline_flow,
)

import tfflows
from tfflows import distributions, layers
from tfflows.datasets import sample_toy
from tfflows.evaluation.evaluation import GaussianBaseline
from tfflows.networks import MLP

GLOW = pytest.param("glow", marks=slow_on_jax)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_log_prob_is_the_change_of_variables():
    flow = randomize(small_flow())
    x = data_for(flow, 5)
    z = numpy(flow.encode(x))
    h = 1e-3
    columns = [
        (numpy(flow.encode(x + h * e)) - numpy(flow.encode(x - h * e))) / (2 * h)
        for e in np.eye(2, dtype="float32")
    ]
    log_det = np.linalg.slogdet(np.stack(columns, -1))[1]
    base = -0.5 * (z**2).sum(1) - np.log(2 * np.pi)
    np.testing.assert_allclose(flow.log_prob(x), base + log_det, atol=5e-3)


@pytest.mark.parametrize("name", ["real_nvp", GLOW, "ffjord"])
def test_fit_lowers_the_nll_and_logs_it(name):
    flow = MODELS[name]()
    flow.compile(keras.optimizers.Adam(1e-2))
    x = data_for(flow, 256)
    if not flow.is_discrete:
        x = sample_toy("moons", 256, 0)
    history = flow.fit(x, epochs=4, batch_size=64, validation_data=(x,), verbose=0).history
    logs = {"loss", "nll", "val_loss", "val_nll"}
    if flow.is_discrete:
        logs |= {"bits_per_dim", "val_bits_per_dim"}
        bits = np.asarray(history["nll"]) / (flow.dims * np.log(2))
        np.testing.assert_allclose(history["bits_per_dim"], bits, rtol=1e-4)
    if name == "ffjord":
        logs |= {"evaluations", "val_evaluations"}
    assert set(history) == logs
    assert history["nll"][-1] < history["nll"][0]
    assert history["val_nll"][-1] < history["val_nll"][0]
    nll = -numpy(flow.log_prob(x)).mean()
    np.testing.assert_allclose(flow.evaluate(x, verbose=0, return_dict=True)["nll"], nll, rtol=1e-4)


def test_loss_adds_regularizers_to_the_nll():
    network = keras.layers.Dense(4, kernel_regularizer="l2")
    flow = tfflows.Flow([layers.AdditiveCoupling(conditioner=network)], (2,))
    flow.compile("sgd")
    logs = flow.evaluate(np.ones((4, 2), "float32"), verbose=0, return_dict=True)
    penalty = 0.01 * (numpy(network.kernel) ** 2).sum()
    np.testing.assert_allclose(logs["loss"], logs["nll"] + penalty, rtol=1e-5)


@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_sample_weight_equals_replicated_rows(form):
    x = sample_toy("moons", 64, 0)
    weight = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [16, 32, 16]))
    after = []
    for weighted in (True, False):
        flow = randomize(small_flow())
        flow.compile(keras.optimizers.SGD(1e-2))
        rows = x if weighted else np.repeat(x, weight, axis=0)
        sample_weight = weight.astype("float32") if weighted else None
        data, extra = rows, {"batch_size": 64}
        if form == "dataset" and weighted:
            import tensorflow as tf

            parts = (rows, np.zeros(64, "float32"), sample_weight)
            data, extra = tf.data.Dataset.from_tensor_slices(parts).batch(64), {}
        elif weighted:
            extra["sample_weight"] = sample_weight
        flow.fit(data, epochs=3, shuffle=False, verbose=0, **extra)
        after.append([numpy(w) for w in flow.trainable_weights])
        extra.pop("batch_size", None)
        after[-1].append(flow.evaluate(data, verbose=0, return_dict=True, **extra)["nll"])
    for weighted, replicated in zip(*after, strict=True):
        np.testing.assert_allclose(weighted, replicated, atol=2e-6, rtol=1e-5)


def test_fit_takes_arrays_lists_datasets_and_generators():
    import tensorflow as tf

    x = sample_toy("moons", 64, 0)

    def batches():
        yield from (x[:32], x[32:])

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return (x[32 * (i % 2) : 32 * (i % 2 + 1)],)

    class Endless(Batches):
        def __len__(self):
            raise NotImplementedError

        @property
        def num_batches(self):
            return None

    endless = small_flow(num_couplings=1)
    endless.compile("adam")
    endless.fit(Endless(), steps_per_epoch=1, verbose=0)
    forms = [x, x.tolist(), (x,), {"x": x}, batches(), Batches()]
    forms += [tf.data.Dataset.from_tensor_slices(x).batch(32)]
    forms += [tf.data.Dataset.from_tensor_slices({"x": x}).batch(32)]
    for data in forms:
        flow = small_flow(num_couplings=1)
        flow.compile("adam")
        assert np.isfinite(flow.fit(data, verbose=0).history["nll"][0])
        assert not flow.needs_adapt


@pytest.mark.slow
def test_conditions_in_fit_evaluate_log_prob_and_sample():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    condition = rng.normal(size=(512, 1)).astype("float32")
    x = (3 * condition + 0.1 * rng.normal(size=(512, 2))).astype("float32")
    flow = small_flow((1,), num_couplings=2)
    flow.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-2, 60 * 16)))
    flow.fit((x, condition), epochs=60, verbose=0, validation_data=(x, condition))
    dataset = tf.data.Dataset.from_tensor_slices({"x": x, "condition": condition}).batch(128)
    by_arrays = flow.evaluate((x, condition), verbose=0, return_dict=True)["nll"]
    by_dataset = flow.evaluate(dataset, verbose=0, return_dict=True)["nll"]
    np.testing.assert_allclose(by_arrays, by_dataset, rtol=1e-4)
    np.testing.assert_allclose(-numpy(flow.log_prob(x, condition)).mean(), by_arrays, rtol=1e-4)
    samples = numpy(flow.sample(500, np.full((1, 1), 0.5, "float32"), seed=0))
    np.testing.assert_allclose(samples.mean(axis=0), 1.5, atol=0.15)
    assert flow.predict((x, condition), verbose=0).shape == (512, 2)
    np.testing.assert_array_equal(flow.log_prob((x, condition)), flow.log_prob(x, condition))
    flow.fit((x, condition), validation_split=0.5, verbose=0)


@pytest.mark.slow
def test_a_spline_flow_learns_a_shape_that_turns_with_its_condition():
    rng = np.random.default_rng(0)
    condition = rng.integers(0, 2, (1024, 1)).astype("float32")
    side = rng.choice([-1.0, 1.0], (1024, 1))
    bimodal, narrow = side + 0.1 * rng.normal(size=(1024, 1)), 0.1 * rng.normal(size=(1024, 1))
    x = 50 + 20 * np.where(condition, np.hstack([bimodal, narrow]), np.hstack([narrow, bimodal]))
    flow = small_spline_flow(condition_shape=(1,), dropout=0.01)
    flow.compile(keras.optimizers.Adam(1e-2))
    flow.fit((x, condition), epochs=40, batch_size=128, verbose=0)
    entropy = np.log(2) + 2 * (0.5 * np.log(2 * np.pi * np.e) + np.log(2))
    assert -numpy(flow.log_prob(x, condition)).mean() < entropy + 0.5
    samples = (numpy(flow.sample(500, np.ones((1, 1), "float32"), seed=0)) - 50) / 20
    assert (np.abs(np.abs(samples[:, 0]) - 1) < 0.4).mean() > 0.9


def test_dropout_is_for_training_alone():
    flow = randomize(small_spline_flow(dropout=0.5))
    x = data_for(flow, 50)
    plain = numpy(flow(x, training=False))
    np.testing.assert_allclose(flow.encode(x), plain, atol=1e-5)
    noisy = [numpy(flow(x, training=True)) for _ in range(2)]
    assert np.abs(noisy[0] - plain).max() > 1e-3
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-3


def test_sampling_by_seed_and_temperature():
    flow = randomize(small_flow())
    np.testing.assert_array_equal(flow.sample(5, seed=1), flow.sample(5, seed=1))
    assert np.abs(numpy(flow.sample(5, seed=1)) - numpy(flow.sample(5, seed=2))).max() > 1e-3
    assert np.abs(numpy(flow.sample(5)) - numpy(flow.sample(5))).max() > 1e-3
    generator = keras.random.SeedGenerator(3)
    first, second = numpy(flow.sample(5, seed=generator)), numpy(flow.sample(5, seed=generator))
    assert np.abs(first - second).max() > 1e-3
    assert flow.sample(0, seed=1).shape == (0, 2)
    x, log_prob = flow.sample_and_log_prob(7, seed=1)
    np.testing.assert_allclose(log_prob, flow.log_prob(x), atol=1e-4)
    cold = tfflows.Flow([layers.DiagonalScaling()], (2,))
    assert numpy(cold.sample(1000, seed=0, temperature=0.1)).std() == pytest.approx(0.1, rel=0.1)


def test_discrete_samples_are_levels_and_log_prob_repeats():
    flow = randomize(small_image_flow(), spread=0.1)
    x = numpy(flow.sample(50, seed=0))
    assert set(np.unique(x)) <= set(range(17))
    first = numpy(flow.log_prob(x))
    np.testing.assert_allclose(first[3:7], flow.log_prob(x[3:7]), atol=1e-4)


@pytest.mark.parametrize("name", ["real_nvp", GLOW])
def test_saved_and_loaded_flows_agree(name, tmp_path):
    make = MODELS[name]
    flow = make()
    x = data_for(flow, 32)
    flow.adapt(x)
    randomize(flow, spread=0.1)
    flow.save(tmp_path / "flow.keras")
    flow.save_weights(tmp_path / "flow.weights.h5")
    assert len(list(tmp_path.iterdir())) == 2
    copy = make()
    copy.load_weights(tmp_path / "flow.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    for other in (loaded, copy):
        assert type(other) is type(flow)
        assert not other.needs_adapt
        assert other.get_config().keys() == flow.get_config().keys()
        for weight, wanted in zip(other.weights, flow.weights, strict=True):
            np.testing.assert_array_equal(weight, wanted)
    np.testing.assert_allclose(loaded.log_prob(x), flow.log_prob(x), rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    # A stack without statistics of its data, and one with those of each batch too.
    [pytest.param("nice", marks=pytest.mark.slow), "real_nvp", "real_nvp_batch_norm"],
)
def test_a_loaded_flow_trains_on_and_stays_adapted(name, tmp_path):
    flow = MODELS[name]()
    flow.compile("adam")
    x = data_for(flow, 32)
    flow.fit(x, verbose=0)
    flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    loaded.compile(keras.optimizers.SGD(0.0))
    before = numpy(loaded.encode(x))
    loaded.fit(x if flow.is_discrete else x + 0.1, epochs=1, verbose=0)
    drift = 0.1 if name == "real_nvp_batch_norm" else 1e-5
    np.testing.assert_allclose(loaded.encode(x), before, atol=drift)


def test_plain_flow_with_base_saves_and_clones(tmp_path):
    base = distributions.MixtureOfGaussians(3, seed=0)
    stack = [layers.Permute(seed=1), layers.AffineCoupling(conditioner=MLP((8,)))]
    flow = randomize(tfflows.Flow(stack, (4,), base=base))
    flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    x = data_for(flow, 5)
    np.testing.assert_array_equal(loaded.log_prob(x), flow.log_prob(x))
    clone = tfflows.Flow.from_config(flow.get_config())
    clone.set_weights(flow.get_weights())
    np.testing.assert_array_equal(clone.log_prob(x), flow.log_prob(x))


def test_adapt_standardizes_and_fit_leaves_adapted_layers_alone():
    x = np.random.default_rng(0).normal([5, -3], [2, 0.1], (1000, 2)).astype("float32")
    flow = tfflows.Flow([layers.Standardize(), layers.ActNorm()], (2,))
    flow.adapt(x)
    z = numpy(flow.encode(x))
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-4)
    mean = numpy(flow.flow_layers[0].mean)
    flow.compile("adam")
    flow.fit(x + 100, epochs=1, verbose=0)
    np.testing.assert_array_equal(flow.flow_layers[0].mean, mean)


def test_whitened_data_have_the_density_of_the_fitted_gaussian():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(5000, 4)) @ rng.normal(size=(4, 4)) + [1, 2, 300, 4]).astype("float32")
    flow = tfflows.Flow([layers.Whiten()], (4,))
    flow.adapt(x)
    np.testing.assert_allclose(np.cov(numpy(flow.encode(x)), rowvar=False), np.eye(4), atol=1e-2)
    gaussian = GaussianBaseline([x])
    np.testing.assert_allclose(flow.log_prob(x[:100]), gaussian.log_prob(x[:100]), atol=1e-2)
    x[:, 2] = x[:, 0] - x[:, 1]  # determined by the others, up to rounding
    flow.adapt(x)
    assert np.isfinite(numpy(flow.log_prob(x))).all()
    with pytest.raises(ValueError, match=r"Whiten needs vectors.* \(None, 4, 4, 1\)"):
        tfflows.Flow([layers.Whiten()], (4, 4, 1))


def test_columns_far_from_zero_are_not_taken_for_constant_ones():
    noise = np.random.default_rng(0).normal(size=(5000, 1))
    for mean, std, dtype in ((101325, 0.05, "float32"), (1.7e9, 1000, "float64")):
        layer = layers.Standardize()
        layer.adapt((mean + std * noise).astype(dtype))
        assert float(layer.std[0]) == pytest.approx(std, rel=0.1)


def test_constant_columns_adapt_to_finite_densities():
    x = np.random.default_rng(0).normal(size=(100, 3)).astype("float32")
    x[:, 1] = 0.1
    flow = tfflows.Flow([layers.Standardize(), layers.ActNorm()], (3,))
    flow.adapt(x)
    assert np.isfinite(numpy(flow.log_prob(x))).all()


def test_float64_flows_are_exact():
    flow = randomize(small_flow(dtype="float64"))
    x = data_for(flow, 50).astype("float64")
    assert keras.backend.standardize_dtype(flow.log_prob(x).dtype) == "float64"
    np.testing.assert_allclose(flow.inverse(flow.encode(x)), x, atol=1e-8)


def test_mixed_precision_trains_and_round_trips():
    keras.config.set_dtype_policy("mixed_bfloat16")
    flow = small_flow()
    flow.compile(keras.optimizers.Adam(1e-2))
    x = sample_toy("moons", 256, 0)
    history = flow.fit(x, epochs=4, verbose=0).history
    assert history["nll"][-1] < history["nll"][0]
    assert keras.backend.standardize_dtype(flow.log_prob(x).dtype) == "float32"
    np.testing.assert_allclose(flow.inverse(flow.encode(x)), x, atol=0.02)


@pytest.mark.parametrize("jit", [True, False])
def test_jit_compiled_training_equals_plain_training(jit):
    x = sample_toy("moons", 128, 0)
    keras.utils.set_random_seed(0)
    flow = small_flow()
    flow.compile(keras.optimizers.SGD(1e-2), jit_compile=jit)
    loss = flow.fit(x, epochs=3, shuffle=False, verbose=0).history["loss"]
    keras.utils.set_random_seed(0)
    eager = small_flow()
    eager.compile(keras.optimizers.SGD(1e-2), run_eagerly=True)
    wanted = eager.fit(x, epochs=3, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)
    np.testing.assert_allclose(flow.sample(4, seed=0), eager.sample(4, seed=0), atol=1e-3)


def test_layers_train_inside_a_model_that_is_no_flow():
    inputs = keras.Input((2,))
    z = layers.AffineCoupling(conditioner=MLP((8,)))(layers.ActNorm()(inputs))
    model = keras.Model(inputs, z)
    model.compile(keras.optimizers.Adam(1e-2), loss=lambda _, z: ops.sum(z**2, -1) / 2)
    x = 3 * np.random.default_rng(0).normal(size=(256, 2)).astype("float32")
    losses = model.fit(x, x, epochs=20, batch_size=64, verbose=0).history["loss"]
    entropy = 1 + np.log(9)  # of the data, less the log(2 pi) that the loss leaves out
    assert losses[0] > losses[-1] > entropy - 0.3


def test_drawn_permutations_are_saved_and_differ(tmp_path):
    flow = tfflows.Flow([layers.Permute() for _ in range(3)], (16,))
    x = data_for(flow, 2)
    orders = {tuple(numpy(layer(x))[0]) for layer in flow.flow_layers}
    assert len(orders) == 3
    flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    np.testing.assert_array_equal(loaded.encode(x), flow.encode(x))


def test_log_prob_takes_the_flows_own_samples():
    flow = randomize(small_flow(preprocessing=[layers.Logit(0.05)]))
    assert np.isfinite(numpy(flow.log_prob(flow.sample(500, seed=0)))).mean() > 0.99


def test_a_seed_draws_the_same_samples_with_and_without_xla():
    flow = randomize(small_flow())
    plain = numpy(flow.sample(20, seed=3))
    plain_pair = flow.sample_and_log_prob(20, seed=3, temperature=0.5)
    flow.compile("adam", jit_compile=True)
    np.testing.assert_allclose(flow.sample(20, seed=3), plain, rtol=1e-4, atol=1e-4)
    for got, wanted in zip(
        flow.sample_and_log_prob(20, seed=3, temperature=0.5), plain_pair, strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    assert flow.sample(7, seed=3).shape == (7, 2)
    assert flow.sample(0).shape == (0, 2)


def test_summary_names_layers_shapes_and_parameters():
    lines = []
    flow = small_image_flow()
    flow.summary(print_fn=lines.append)
    text = "\n".join(lines)
    for part in ("MultiScaleRealNVP", "Dequantize", "FactorOut", "(16,)", "StandardNormal"):
        assert part in text
    assert f"{flow.count_params():,} parameters" in text


def test_summary_takes_the_arguments_of_keras():
    flow, texts = small_image_flow(), []
    flow.summary(60, print_fn=texts.append, expand_nested=False, show_trainable=True)
    assert max(map(len, texts[0].splitlines())) <= 60
    assert "trains" in texts[0]
    first, second = flow.flow_layers[:2]
    flow.summary(print_fn=texts.append, layer_range=[first.name, second.name])
    assert "FactorOut" not in texts[1]
    assert type(second).__name__ in texts[1]
    with pytest.raises(ValueError, match="positions must be None"):
        flow.summary(positions=[0.5])
    with pytest.raises(ValueError, match="`layer_range` to be two names"):
        flow.summary(layer_range=["no", "layer"])


@needs_tensorflow
def test_losses_gradients_reach_every_trainable_weight():
    import tensorflow as tf

    flow = randomize(small_image_flow(), spread=0.1)
    with tf.GradientTape() as tape:
        flow(data_for(flow, 4), training=True)
        loss = sum(flow.losses)
    gradients = tape.gradient(loss, [w.value for w in flow.trainable_weights])
    missing = [w.path for w, g in zip(flow.trainable_weights, gradients, strict=True) if g is None]
    assert not missing


def test_fit_takes_conditions_as_pairs_dicts_and_datasets():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, condition = rng.normal(size=(2, 64, 2)).astype("float32")
    flow = small_flow((2,), num_couplings=1)
    flow.compile("adam")
    named = {"x": x, "condition": condition}
    dataset = tf.data.Dataset.from_tensor_slices(named).batch(32)
    for data in ((x, condition), named, dataset):
        history = flow.fit(data, batch_size=None if data is dataset else 32, verbose=0).history
        assert np.isfinite(history["nll"]).all()
    by_dataset = flow.evaluate(dataset, verbose=0, return_dict=True)["nll"]
    np.testing.assert_allclose(-numpy(flow.log_prob(x, condition)).mean(), by_dataset, rtol=1e-4)


@pytest.mark.parametrize("method", ["log_prob", "encode", "inverse"])
def test_some_rows_at_a_time_give_what_all_at_once_give(method):
    flow = randomize(small_flow(condition_shape=(3,), num_couplings=2))
    rng = np.random.default_rng(0)
    x, condition = rng.normal(size=(10, 2)), rng.normal(size=(10, 3))
    call = getattr(flow, method)
    wanted = call(x.astype("float32"), condition)
    for batch_size in (1, 4, 10, 99):
        got = call(x.astype("float32"), condition, batch_size=batch_size)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"batch_size must be a positive integer. Received: 0"):
        call(x.astype("float32"), condition, batch_size=0)


def test_some_samples_at_a_time_are_those_of_the_seed():
    flow = randomize(small_flow(num_couplings=2))
    wanted, log_prob = flow.sample_and_log_prob(10, seed=3, temperature=0.7)
    np.testing.assert_allclose(
        flow.sample(10, seed=3, temperature=0.7, batch_size=4), wanted, rtol=1e-5, atol=1e-5
    )
    got = flow.sample_and_log_prob(10, seed=3, temperature=0.7, batch_size=3)
    np.testing.assert_allclose(got[0], wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got[1], log_prob, rtol=1e-4, atol=1e-4)
    assert flow.sample(5, batch_size=2).shape == (5, 2)


def test_draws_of_noise_some_rows_at_a_time():
    flow = small_pixel_nice()
    x = data_for(flow, 5)
    wanted = flow.log_prob(x, num_draws=2)
    np.testing.assert_allclose(flow.log_prob(x, num_draws=2, batch_size=2), wanted, rtol=1e-5)
