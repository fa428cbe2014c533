"""When a flow takes its statistics, and from which rows of arrays and datasets."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

import tfflows
from tfflows import layers
from tfflows.training.inputs import read_rows

ROWS = np.arange(512, dtype="float32")[:, None] / 100 * np.ones((1, 2), "float32")
MEAN = ROWS.mean(axis=0)


def make(condition_shape=None, **kwargs):
    stack = [layers.Standardize(), layers.DiagonalScaling()]
    flow = tfflows.Flow(stack, (2,), condition_shape=condition_shape)
    flow.compile(keras.optimizers.SGD(0.0), run_eagerly=True, **kwargs)
    return flow


def mean_of(flow):
    return ops.convert_to_numpy(flow.flow_layers[0].mean)


class Batches(keras.utils.PyDataset):
    def __init__(self, size=16, endless=False):
        super().__init__()
        self.size, self.endless, self.read = size, endless, []

    @property
    def num_batches(self):
        return None if self.endless else len(ROWS) // self.size

    def __getitem__(self, index):
        self.read.append(index)
        start = index * self.size % len(ROWS)
        return (ROWS[start : start + self.size],)


def tensors(size=16):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(ROWS).batch(size)


def batches(size=16):
    return (ROWS[i : i + size] for i in range(0, len(ROWS), size))


@pytest.mark.parametrize("data", [lambda: ROWS, tensors, Batches, batches])
def test_fit_takes_the_statistics_of_all_rows_of_a_sorted_dataset(data):
    flow = make()
    history = flow.fit(data(), batch_size=None, verbose=0).history
    np.testing.assert_allclose(mean_of(flow), MEAN, rtol=1e-5)
    # Every row was trained on, those too that were read of a generator before.
    nll = -ops.convert_to_numpy(flow.log_prob(ROWS)).mean()
    np.testing.assert_allclose(history["nll"][-1], nll, rtol=1e-4)


@pytest.mark.parametrize("data", [tensors, Batches])
def test_few_rows_are_spread_over_the_batches(data):
    flow = make()
    flow.adapt(data(), max_rows=64)
    np.testing.assert_allclose(mean_of(flow), MEAN, rtol=0.05)
    _, rows = read_rows(data(128), 8, False)
    assert len(set((rows.x[:, 0] * 100).astype(int) // 128)) == 4


def test_reading_is_bounded(monkeypatch):
    from tfflows.training import inputs

    monkeypatch.setattr(inputs, "MAX_READ_BATCHES", 8)
    yielded = []

    def count():
        for batch in batches():
            yielded.append(batch)
            yield batch

    generator, rows = read_rows(count(), 40, False)
    assert (len(yielded), len(rows)) == (3, 40 + 2)
    assert sum(len(batch[0]) for batch in generator) == len(ROWS)
    _, rows = read_rows(tensors(), 48, False)
    assert rows.x.max() < 1.28
    endless = Batches(endless=True)
    read_rows(endless, 48, False)
    assert endless.read == [0, 1, 2]
    monkeypatch.setattr(inputs, "MAX_READ_SECONDS", 0.0)
    assert len(read_rows(tensors(), 512, False)[1]) <= 16


def test_validation_far_outside_of_the_statistics_is_warned_of():
    with pytest.warns(UserWarning, match=r"validation data lie far outside.*element 1 is"):
        make().fit(batches(), validation_data=(ROWS + np.asarray([0, 200]),), verbose=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make().fit(tensors(), validation_data=tensors(), verbose=0)
    assert not [each for each in caught if "far outside" in str(each.message)]


def train_by_hand(flow):
    for weight in flow.trainable_weights:
        weight.assign(weight + 0.5)


@pytest.mark.parametrize("inner", [layers.ActNorm, layers.DiagonalScaling])
def test_fit_leaves_weights_alone_that_were_trained_before(inner):
    flow = tfflows.Flow([layers.Standardize(), inner()], (2,))
    flow.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    train_by_hand(flow)
    before = ops.convert_to_numpy(flow.log_prob(ROWS))
    with pytest.warns(UserWarning, match=r"'standardize.*have no statistics.*`adapt\(data\)`"):
        flow.fit(ROWS, verbose=0)
    np.testing.assert_array_equal(flow.log_prob(ROWS), before)
    assert not flow.needs_adapt
    flow.adapt(ROWS)
    np.testing.assert_allclose(mean_of(flow), MEAN, rtol=1e-5)


def test_weights_of_a_trained_flow_count_as_trained():
    trained, flow = (tfflows.Flow([layers.Standardize(), layers.ActNorm()], (2,)) for _ in "12")
    train_by_hand(trained)
    flow.set_weights(trained.get_weights())
    flow.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    with pytest.warns(UserWarning, match="have no statistics"):
        flow.fit(ROWS, verbose=0)
    np.testing.assert_array_equal(mean_of(flow), 0)


def test_layers_adapted_one_by_one_leave_the_others_to_fit():
    flow = tfflows.Flow([layers.Standardize(), layers.ActNorm()], (2,))
    flow.flow_layers[0].adapt(ROWS + 3)
    flow.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    flow.fit(ROWS, verbose=0)
    np.testing.assert_allclose(mean_of(flow), MEAN + 3, rtol=1e-5)
    z = ops.convert_to_numpy(flow.encode(ROWS))
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)


def test_train_on_batch_takes_statistics_first_and_once():
    flow = make((1,))
    flow.train_on_batch((ROWS, ROWS[:, :1]))
    np.testing.assert_allclose(mean_of(flow), MEAN, rtol=1e-5)
    flow.train_on_batch(ROWS + 1, ROWS[:, :1])
    np.testing.assert_allclose(mean_of(flow), MEAN, rtol=1e-5)


def test_datasets_of_pairs_are_data_and_conditions():
    import tensorflow as tf

    condition = ROWS[:, :1]
    weight = np.linspace(0, 2, 512).astype("float32")
    flow = make((1,))
    pairs = tf.data.Dataset.from_tensor_slices((ROWS, condition)).batch(64)
    flow.adapt(pairs)
    np.testing.assert_allclose(mean_of(flow), MEAN, rtol=1e-5)
    history = flow.fit(pairs, validation_data=pairs, verbose=0).history
    log_prob = ops.convert_to_numpy(flow.log_prob(ROWS, condition))
    np.testing.assert_allclose(history["nll"][0], -log_prob.mean(), rtol=1e-4)
    np.testing.assert_allclose(history["val_nll"][0], -log_prob.mean(), rtol=1e-4)
    triples = tf.data.Dataset.from_tensor_slices((ROWS, condition, weight)).batch(64)
    logs = flow.evaluate(triples, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["nll"], -np.average(log_prob, weights=weight), rtol=1e-4)
    z = flow.predict(pairs, verbose=0)
    np.testing.assert_allclose(z, flow.encode(ROWS, condition), atol=1e-5)


def test_pairs_for_a_flow_without_conditions_are_refused():
    import tensorflow as tf

    pairs = tf.data.Dataset.from_tensor_slices((ROWS, ROWS[:, 0])).batch(64)
    for call in (make().fit, make().evaluate):
        with pytest.raises(ValueError, match=r"no targets.*dataset\.map\(lambda x, y: x\)"):
            call(pairs, verbose=0)


def test_columns_that_float32_cannot_tell_apart_are_refused():
    seconds = 1_700_000_000 + np.arange(200.0)
    x = np.stack([np.random.default_rng(0).normal(size=200), seconds], axis=1)
    flow = tfflows.models.RealNVP((2,), num_couplings=1, hidden_units=[4])
    flow.compile("sgd")
    message = r"columns 1 \(200 different values, of which float32 keeps 3\)"
    for call in (flow.fit, flow.evaluate, flow.adapt):
        with pytest.raises(ValueError, match=message):
            call(x)
    flow.fit(x - [0, 1_700_000_000], epochs=1, verbose=0)
