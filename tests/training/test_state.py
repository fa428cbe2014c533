"""Weights, averages and optimizer stay usable whatever is called when, and after an exception."""

import keras
import numpy as np
import pytest

import tfflows
from tfflows import layers, networks
from tfflows.training import many_steps

X = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")


def make_flow(**optimizer):
    flow = tfflows.Flow([layers.AffineCoupling(conditioner=networks.MLP((3,)))], (2,))
    flow.compile(keras.optimizers.Adam(0.1, **optimizer), steps_per_execution=2)
    return flow


class Raise(keras.callbacks.Callback):
    """Raises in the second call of the second epoch."""

    def __init__(self, error):
        super().__init__()
        self.error, self.is_second = error, False

    def on_epoch_begin(self, epoch, logs=None):
        self.is_second = epoch == 1

    def on_train_batch_end(self, batch, logs=None):
        if self.is_second and batch > 2:
            raise self.error


class ReadWeights(keras.callbacks.Callback):
    """Reads the weights within an epoch."""

    def __init__(self):
        super().__init__()
        self.read = []

    def on_train_batch_end(self, batch, logs=None):
        self.read.append(self.model.get_weights()[0].copy())


@pytest.mark.filterwarnings("error::UserWarning")
def test_averages_survive_every_order_of_calls(tmp_path):
    flow = make_flow(use_ema=True, ema_momentum=0.9)
    flow.fit(X, verbose=0)
    flow.optimizer.finalize_variable_values(flow.trainable_variables)
    averaged = flow.get_weights()
    flow.evaluate(X, verbose=0)
    flow.save_weights(tmp_path / "flow.weights.h5")
    flow.log_prob(X)
    flow.predict(X, verbose=0)
    for value, expected in zip(flow.get_weights(), averaged, strict=True):
        np.testing.assert_array_equal(value, expected)
    flow.fit(X, verbose=0, epochs=2, callbacks=[keras.callbacks.SwapEMAWeights()])
    flow.train_on_batch(X)
    flow.test_on_batch(X)
    flow.optimizer.finalize_variable_values(flow.trainable_variables)
    flow.fit(X, verbose=0, validation_data=(X,))
    assert np.isfinite(flow.log_prob(X)).all()
    assert not np.array_equal(flow.get_weights()[0], averaged[0])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), FloatingPointError("diverged")])
def test_training_goes_on_after_an_exception_within_an_epoch(error):
    flow, reader = make_flow(), ReadWeights()
    before = flow.get_weights()
    with pytest.raises(type(error)):
        flow.fit(X, batch_size=10, epochs=3, verbose=0, callbacks=[reader, Raise(error)])
    np.testing.assert_array_equal(flow.get_weights()[0], reader.read[-1])  # of the last step
    assert len({read.tobytes() for read in reader.read}) == len(reader.read) == 4
    assert int(flow.optimizer.iterations) == 8
    assert not np.array_equal(flow.get_weights()[0], before[0])
    flow.fit(X, batch_size=10, verbose=0)
    assert int(flow.optimizer.iterations) == 12


def test_an_exception_in_the_first_step_leaves_the_weights(monkeypatch):
    flow = make_flow(use_ema=True)
    before = flow.get_weights()
    monkeypatch.setattr(flow, "train_step", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        flow.fit(X, verbose=0)
    monkeypatch.setattr(flow, "test_step", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        flow.evaluate(X, verbose=0)
    monkeypatch.setattr(flow, "predict_step", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        flow.predict(X, verbose=0)
    for value, expected in zip(flow.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    assert np.isfinite(flow.log_prob(X)).all()


def test_a_flow_that_is_not_compiled_is_refused_as_keras_does():
    flow = tfflows.Flow([layers.AffineCoupling(conditioner=networks.MLP((3,)))], (2,))
    for call in (flow.fit, flow.evaluate):
        with pytest.raises(ValueError, match=r"call `compile\(\)`"):
            call(X, verbose=0)
    assert flow.predict(X, verbose=0).shape == X.shape


def exhausted(*args):
    """What the backends raise where a device has no memory left."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        raise tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory")
    raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")


def test_exhausted_memory_says_what_to_lower(monkeypatch):
    flow = make_flow(use_ema=True)
    monkeypatch.setattr(flow, "train_step", exhausted)
    match = r"batches of 20 rows in fit: lower batch_size.*checkpoint=True.*bfloat16.*device_data"
    with pytest.raises(MemoryError, match=match) as caught:
        flow.fit(X, batch_size=20, verbose=0)
    assert "llocate" in str(caught.value.__cause__)
    monkeypatch.setattr(flow, "test_step", exhausted)
    with pytest.raises(MemoryError, match="batches of 32 rows in evaluate: lower batch_size"):
        flow.evaluate(X, verbose=0)
    monkeypatch.setattr(flow, "_compiled_method", lambda *args: exhausted)
    with pytest.raises(MemoryError, match="batches of 40 rows in log_density: lower batch_size"):
        flow.log_prob(X)
    assert not isinstance(caught.value.__cause__, MemoryError)


def test_weights_that_a_failed_step_freed_are_said(monkeypatch):
    flow = make_flow()
    monkeypatch.setattr(tfflows.training.memory, "_is_freed", lambda variable: True)
    monkeypatch.setattr(flow, "train_step", exhausted)
    with pytest.raises(MemoryError, match="The weights were freed by the step that failed: make"):
        flow.fit(X, verbose=0)
    assert many_steps.takes_groups(flow)
