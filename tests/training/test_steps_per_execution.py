"""How many steps a call makes where `fit` chooses."""

import keras
import numpy as np
import pytest

import tfflows
from tfflows import layers, networks
from tfflows.training import steps as steps_module
from tfflows.training import steps_per_execution
from tfflows.training.many_steps import Stack
from tfflows.training.steps_per_execution import looks_at_batches, steps_of_a_call

X = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")


class Steps(keras.callbacks.Callback):
    """A callback of the user that asks for each step."""

    def on_train_batch_end(self, batch, logs=None):
        pass


class Epochs(keras.callbacks.Callback):
    """A callback of the user that asks for epochs only, and notes the steps of a call."""

    steps = None

    def on_epoch_end(self, epoch, logs=None):
        self.steps = self.model.steps_per_execution


@pytest.mark.parametrize(
    ("seconds", "per_epoch", "steps"),
    [
        (0.0001, 1000, 63),  # 64 at most, and 16 calls that are about equal
        (0.0001, 10, 10),
        (0.04, 12, 4),
        (0.08, 100, 2),
        (0.11, 100, 1),
    ],
)
def test_fast_steps_are_grouped_and_slow_ones_are_not(seconds, per_epoch, steps):
    assert steps_of_a_call(seconds, per_epoch) == steps


def test_a_callback_of_the_user_that_asks_for_each_step_gets_it():
    own = [
        keras.callbacks.EarlyStopping("loss"),
        keras.callbacks.TensorBoard("logs"),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        Epochs(),
    ]
    assert not looks_at_batches(own)
    assert not looks_at_batches(None)
    assert not looks_at_batches(keras.callbacks.ProgbarLogger())
    assert looks_at_batches(Steps())
    assert looks_at_batches([*own, Steps()])
    assert looks_at_batches(keras.callbacks.CallbackList([Steps()]))
    assert looks_at_batches([keras.callbacks.TensorBoard("logs", update_freq="batch")])
    assert looks_at_batches(
        [keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]
    )


def train(steps, seconds=None, callbacks=(), monkeypatch=None):
    keras.utils.set_random_seed(0)
    flow = tfflows.Flow([layers.AffineCoupling(conditioner=networks.MLP((3,)))], (2,))
    flow.compile(keras.optimizers.Adam(0.1), steps_per_execution=steps)
    epochs = Epochs()
    flow.fit(X, batch_size=10, epochs=9, verbose=0, callbacks=[epochs, *callbacks])
    return flow, epochs.steps


def test_the_choice_is_measured_without_a_trace_in_the_training(monkeypatch):
    single, steps = train(1)
    assert steps == 1
    measured = []

    def fake(model, group, original=steps_module.seconds_within_a_call):
        measured.append(original(model, group))
        return 0.2 / 3

    monkeypatch.setattr(steps_module, "seconds_within_a_call", fake)
    flow, steps = train("auto")
    assert steps == 3
    assert measured[0] > 0
    for value, expected in zip(flow.get_weights(), single.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
    assert flow.get_compile_config()["steps_per_execution"] == "auto"
    assert train("auto", callbacks=[Steps()])[1] == 1
    assert len(measured) == 1


@pytest.mark.parametrize(
    ("alone", "within", "steps"), [(0.15, None, 1), (0.01, 0.05, 1), (0.01, 0.011, 15)]
)
def test_steps_of_images_are_by_themselves_where_a_loop_is_slow(monkeypatch, alone, within, steps):
    """As on a CPU, where XLA's gradients of convolutions take up to 100 times as long in a loop."""
    measured = []

    def fake(model, group):
        measured.append(group.stacks[0].is_single)
        return alone if group.stacks[0].is_single else within

    monkeypatch.setattr(steps_per_execution, "seconds_per_step", fake)
    monkeypatch.setattr(steps_per_execution, "runs_on_cpu", lambda: True)
    images = np.random.default_rng(0).normal(size=(60, 2, 2, 1)).astype("float32")
    flow = tfflows.Flow([layers.ActNorm()], (2, 2, 1))
    flow.compile(keras.optimizers.Adam(0.1), jit_compile=True)
    epochs = Epochs()
    flow.fit(images, batch_size=4, epochs=4, verbose=0, callbacks=[epochs])
    assert epochs.steps == steps
    assert measured == [True] if within is None else [True, False]
    measured.clear()
    flow.fit(images, batch_size=4, epochs=4, verbose=0, callbacks=[epochs])
    assert epochs.steps == steps
    assert not measured  # it is known


def test_a_first_batch_is_what_a_stack_of_one_would_be():
    x, rows = np.arange(12.0).reshape(3, 2, 2), np.arange(6).reshape(3, 2)
    for stack, wanted in (
        (Stack({"x": x, "condition": None}, None, 3), {"x": x[:1], "condition": None}),
        (Stack(x, rows, 3), x),
    ):
        first = stack.first()
        assert first.is_single
        assert not stack.is_single
        keras.tree.map_structure(
            lambda a, b: a is b is None or np.testing.assert_array_equal(a, b), first.data, wanted
        )
    np.testing.assert_array_equal(first.rows, rows[:1])


def test_other_words_and_numbers_are_refused():
    flow = tfflows.Flow([layers.AffineCoupling(conditioner=networks.MLP((3,)))], (2,))
    for steps in ("often", 0, 2.5):
        with pytest.raises(ValueError, match=f'"auto" or a number from 1. Received: {steps!r}'):
            flow.compile("adam", steps_per_execution=steps)
