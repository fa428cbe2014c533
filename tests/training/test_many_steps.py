"""Several steps in one compiled call train as single steps do."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfflows
from tfflows import layers, networks
from tfflows.datasets.batches import Batches
from tfflows.datasets.rows import Rows
from tfflows.training import steps as steps_module
from tfflows.training.device_data import group_training

RNG = np.random.default_rng(0)
X = RNG.integers(0, 8, (47, 2))
CONDITION = RNG.normal(size=(47, 1))
WEIGHT = RNG.uniform(0.5, 2.0, 44)


def make_flow(steps=1, **optimizer):
    """A flow whose steps differ by their noise, their condition and the optimizer's state."""
    keras.utils.set_random_seed(1)
    flow = tfflows.Flow(
        [layers.Dequantize(8), layers.AffineCoupling(conditioner=networks.MLP((3,)))],
        (2,),
        condition_shape=(1,),
    )
    rate = keras.optimizers.schedules.CosineDecay(0.1, 8)
    flow.compile(keras.optimizers.Adam(rate, **optimizer), steps_per_execution=steps)
    return flow


class Numbers(keras.callbacks.Callback):
    """The numbers and losses that Keras gives a callback."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, round(float(logs["loss"]), 6)))


def train(steps, device_data, **options):
    flow = make_flow(
        steps, clipnorm=1.0, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=2
    )
    numbers = Numbers()
    history = flow.fit(
        {"x": X[:44], "condition": CONDITION[:44]},
        sample_weight=WEIGHT,
        batch_size=9,
        epochs=2,
        verbose=0,
        shuffle=False,
        validation_split=0.2,
        callbacks=[numbers],
        device_data=device_data,
        **options,
    )
    values = [np.array(v) for v in (*flow.weights, *flow.optimizer.variables)]
    return values, history.history, numbers.seen


@pytest.fixture
def float64():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before)


def test_groups_of_steps_give_the_weights_and_logs_of_keras_own_steps(float64, monkeypatch):
    # Rows for training: three batches of 9 and one of 8; for validation: 9.
    with monkeypatch.context() as patch:
        patch.setattr(steps_module, "takes_groups", lambda model: False)
        weights, logs, seen = train(1, False)
    assert [batch for batch in seen if isinstance(batch, int)] == [0, 1, 2, 3] * 2
    losses = dict(place for place in seen[8:] if isinstance(place, tuple))
    grouped_weights, grouped_logs, grouped_seen = train(3, True)
    for value, expected in zip(grouped_weights, weights, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)
    assert grouped_logs.keys() == logs.keys() >= {"nll", "val_nll", "val_bits_per_dim"}
    for name, values in logs.items():
        np.testing.assert_allclose(grouped_logs[name], values, rtol=1e-9)
    # As Keras counts: the second call ends with the last batch, which is the fourth.
    assert grouped_seen[4:] == [0, (2, losses[2]), 3, (5, losses[3])]


def test_no_size_of_a_group_is_compiled_for_itself(monkeypatch):
    flow, traces = make_flow(4), []
    compute_loss = flow.compute_loss

    def counted(*args, **kwargs):
        traces.append(len(args))
        return compute_loss(*args, **kwargs)

    monkeypatch.setattr(flow, "compute_loss", counted)
    data = X[:44], CONDITION[:44]
    flow.fit(data, batch_size=4, epochs=2, verbose=0, device_data=False)  # 4 + 4 + 3 batches
    assert len(traces) == 1


def test_a_step_of_the_user_logs_what_it_returns():
    class Doubled(tfflows.Flow):
        def train_step(self, *args):
            if keras.backend.backend() == "tensorflow":
                return {"doubled": 2 * super().train_step(*args)["loss"]}
            logs, state = super().train_step(*args)
            return {"doubled": 2 * logs["loss"]}, state

    flow = Doubled([layers.AffineCoupling(conditioner=networks.MLP((3,)))], (2,))
    flow.compile("sgd", steps_per_execution=3)
    numbers = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: numbers.append(float(logs["doubled"]))
    )
    history = flow.fit(X[:40], batch_size=10, verbose=0, callbacks=[callback]).history
    assert len(numbers) == 2
    assert numbers[-1] == pytest.approx(history["doubled"][-1])


def groups_of(arguments, size, count):
    """Rows of the batches in the first `count` groups."""
    groups = iter(group_training(arguments, size, arguments.pop("device_data"))["x"])
    found = []
    for _ in range(count):
        batches = []
        for stack in next(groups).stacks:
            data = np.asarray(keras.tree.flatten(stack.data)[0])
            for i in range(int(stack.count)):
                batches.append(data[i] if stack.rows is None else data[np.asarray(stack.rows[i])])
        found.append(batches)
    return found


@pytest.mark.parametrize("device_data", [True, False])
def test_groups_hold_each_row_once_in_keras_own_order(device_data):
    arguments = {"x": X, "batch_size": 5, "device_data": device_data}
    np.random.seed(3)
    groups = groups_of(arguments, 4, 3)
    assert [len(group) for group in groups] == [4, 4, 2]
    assert len(groups[-1][-1]) == 2  # the remainder of 47 rows
    np.random.seed(3)
    expected = X[np.random.permutation(len(X))]
    np.testing.assert_array_equal(np.concatenate([b for group in groups for b in group]), expected)


@pytest.mark.parametrize("device_data", [True, False])
def test_batches_of_a_run_are_those_of_its_seed_and_step(device_data):
    # An epoch of five steps over batches without end: groups of 3 + 2, and no step too many.
    batches = Batches(Rows(X, CONDITION), 8, seed=4, first_step=7)
    arguments = {"x": batches, "steps_per_epoch": 5, "shuffle": False, "device_data": device_data}
    groups = groups_of(arguments, 3, 6)
    assert [len(group) for group in groups] == [3, 2] * 3
    found = [batch for group in groups for batch in group]
    for i, batch in enumerate(found):
        expected = batches[i]["condition" if batch.shape[1] == 1 else "x"]
        np.testing.assert_array_equal(batch, expected.astype(batch.dtype))


@pytest.mark.parametrize("device_data", [True, False])
def test_batches_in_order_end_with_the_remainder(device_data):
    # Six batches of 8 rows hold 47 rows with the last one of 7, in two groups of 5 + 1.
    arguments = {"x": Batches(Rows(X), 8), "shuffle": False, "device_data": device_data}
    groups = groups_of(arguments, 5, 2)
    assert [len(group) for group in groups] == [5, 1]
    np.testing.assert_array_equal(np.concatenate([b for group in groups for b in group]), X)
    arguments = {"x": Batches(Rows(X), 8), "shuffle": False, "device_data": device_data}
    assert [len(group) for group in groups_of(arguments, 9, 1)] == [6]


def test_data_stay_on_the_device_only_where_they_can():
    stream = (X[i : i + 8] for i in range(0, 40, 8))
    with pytest.raises(ValueError, match=r"device_data=True expects x.*Received: generator"):
        group_training({"x": stream}, None, True)
    assert group_training({"x": stream}, None, "auto")["x"] is stream
    with pytest.raises(ValueError, match=r"Received: 'gpu'"):
        make_flow().fit((X, CONDITION), device_data="gpu")
    eager = make_flow()
    eager.run_eagerly = True
    with pytest.raises(ValueError, match="Received: run_eagerly=True, or a distribution"):
        eager.fit((X, CONDITION), device_data=True)


def test_a_loss_that_is_nan_is_found_at_the_last_step_that_there_was():
    flow = make_flow(4)
    flow.compile(keras.optimizers.SGD(1e30), steps_per_execution=16)
    flow.fit((X[:8], CONDITION[:8]), verbose=0)  # the weights are finite yet
    with pytest.raises(FloatingPointError, match=r"seen at step 23\b"):
        flow.fit((X[:46], CONDITION[:46]), batch_size=2, verbose=0)


@pytest.mark.slow
def test_eight_devices_give_the_losses_of_one():
    script = Path(__file__).parents[1] / "helpers" / "train_data_parallel.py"
    answer = subprocess.run(
        [sys.executable, script], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    losses = json.loads(answer.splitlines()[-1])
    for eight in losses["eight"]:
        np.testing.assert_allclose(eight, losses["one"], rtol=1e-5)
