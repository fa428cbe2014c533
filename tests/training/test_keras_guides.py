"""What Keras' own guides do with a model, done with a flow."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow

import tfflows
from tfflows import layers, models
from tfflows.training.callbacks import with_own_callbacks

X = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def small(**kwargs):
    flow = tfflows.Flow([layers.ActNorm(), layers.DiagonalScaling()], (2,), **kwargs)
    flow.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    return flow


def test_a_clone_is_a_flow_of_new_weights():
    flow = randomize(small())
    clone = keras.models.clone_model(flow)
    assert type(clone) is type(flow)
    assert not set(map(id, clone.weights)) & set(map(id, flow.weights))
    clone.set_weights(flow.get_weights())
    np.testing.assert_array_equal(clone.log_prob(X), flow.log_prob(X))


def test_callbacks_know_that_less_is_better(tmp_path):
    stop = keras.callbacks.EarlyStopping("val_nll", patience=1)
    best = keras.callbacks.ModelCheckpoint(tmp_path / "b.keras", "nll", save_best_only=True)
    plateau = keras.callbacks.ReduceLROnPlateau("val_bits_per_dim")
    others = [keras.callbacks.EarlyStopping("nll", mode="max"), keras.callbacks.TerminateOnNaN()]
    callbacks = with_own_callbacks([stop, best, plateau, *others])
    assert [getattr(each, "mode", None) for each in callbacks[2:]] == [*["min"] * 3, "max", None]
    flow = small()
    flow.compile(keras.optimizers.SGD(10.0), run_eagerly=True)  # gets worse
    logs = flow.fit(X, epochs=4, validation_data=(X,), callbacks=[stop, best], verbose=0).history
    assert len(logs["loss"]) < 4


def test_a_flow_is_checkpointed_while_it_learns_a_density(tmp_path):
    flow = small()
    path = tmp_path / "flow.keras"
    flow.fit_to_density(
        lambda x: -ops.sum(x**2, axis=1) / 2,
        epochs=2,
        steps_per_epoch=2,
        batch_size=8,
        callbacks=[keras.callbacks.ModelCheckpoint(path, "loss", save_best_only=True)],
        verbose=0,
    )
    loaded = keras.saving.load_model(path)
    assert np.isfinite(numpy(loaded.log_prob(X))).all()
    loaded.fit(X, verbose=0)


def test_tables_of_pandas_are_data():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": X[:, 0], "b": np.arange(32)})
    nullable = table.astype({"a": "Float64", "b": "Int64"})
    flow = small()
    flow.fit(nullable, verbose=0)
    wanted = numpy(flow.log_prob(table.to_numpy("float32")))
    for form in (table, nullable, table.astype("float32")):
        np.testing.assert_allclose(flow.log_prob(form), wanted, rtol=1e-5)
    nullable.loc[3, "b"] = pandas.NA
    with pytest.raises(ValueError, match=r"first stands at x\[3, 1\]"):
        flow.fit(nullable, verbose=0)
    assert np.isnan(numpy(flow.log_prob(nullable))).nonzero()[0].tolist() == [3]
    with pytest.raises(ValueError, match=r"table of numbers.*Received: a \(Float64\).*c \("):
        small().fit(nullable.assign(c="text"), verbose=0)
    one = tfflows.Flow([layers.DiagonalScaling()], (1,))
    with pytest.raises(ValueError, match=r"Received: x of shape \(32,\)"):
        one.log_prob(table["a"])
    conditional = small(condition_shape=(1,))
    conditional.fit((table, nullable[["a"]]), verbose=0)


def test_dicts_as_data_sets_yield_them_are_answered_with_the_cure():
    with pytest.raises(ValueError, match=r'"x".*map\(lambda row: row\["image"\]\).*one_hot'):
        small().fit({"image": X, "label": np.zeros(32)}, verbose=0)


def test_a_conditioner_needs_no_output_shape():
    @keras.saving.register_keras_serializable("test_keras_guides")
    class Network(keras.layers.Layer):
        def build(self, input_shape):
            self.dense = keras.layers.Dense(5, "tanh")
            self.dense.build(input_shape)

        def call(self, inputs):
            return self.dense(inputs)

    coupling = layers.AffineCoupling(conditioner=Network())
    flow = randomize(tfflows.Flow([coupling], (4,)))
    x = np.ones((3, 4), "float32")
    np.testing.assert_allclose(flow.inverse(flow.encode(x)), x, atol=1e-4)


def test_raw_pixels_without_levels_are_warned_of():
    pixels = np.arange(4 * 16).reshape(4, 4, 4, 1).astype("uint8")
    flow = tfflows.Flow([layers.ActNorm()], (4, 4, 1))
    flow.compile("adam", run_eagerly=True)
    with pytest.warns(UserWarning, match=r"raw pixels.* from 0 to 63.*quantization_levels=256"):
        flow.fit(pixels, verbose=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        flow.fit(pixels / 255, verbose=0)
        discrete = models.NICE((4, 4, 1), 1, (4,), preprocessing=[layers.Dequantize(256)])
        discrete.compile("adam", run_eagerly=True)
        discrete.fit(pixels, verbose=0)
    assert not [each for each in caught if "raw pixels" in str(each.message)]


def test_predict_gives_latents():
    flow = randomize(small(condition_shape=(1,)))
    condition = X[:, :1]
    wanted = flow.encode(X, condition)
    np.testing.assert_allclose(flow.predict((X, condition), verbose=0), wanted, atol=1e-5)
    with pytest.raises(ValueError, match="expects a condition"):
        flow.predict(X, verbose=0)


def test_averaged_weights_train_on():
    flow = small()
    flow.compile(keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5))
    for _ in range(2):
        flow.fit(X, verbose=0)
    averages = flow.optimizer._model_variables_moving_average
    for weight, average in zip(flow.trainable_variables, averages, strict=True):
        np.testing.assert_array_equal(weight, average)


@needs_tensorflow
def test_a_loop_and_a_train_step_of_ones_own():
    import tensorflow as tf

    flow, optimizer = small(), keras.optimizers.SGD(0.1)
    flow.adapt(X)
    start = numpy(flow.log_prob(X + 1)).mean()
    for _ in range(3):
        with tf.GradientTape() as tape:
            flow(X + 1, training=True)
            loss = sum(flow.losses)
        optimizer.apply(tape.gradient(loss, flow.trainable_variables), flow.trainable_variables)
    assert numpy(flow.log_prob(X + 1)).mean() > start + 0.1

    class Custom(tfflows.Flow):
        def train_step(self, data):
            x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(self.log_density(x))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    custom = Custom([layers.ActNorm()], (2,))
    custom.compile(keras.optimizers.SGD(0.1))
    history = custom.fit(3 * X, epochs=2, verbose=0).history
    assert not custom.needs_adapt
    assert np.isfinite(history["loss"]).all()
