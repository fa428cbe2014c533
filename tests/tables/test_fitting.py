"""Fitting without choices: rows in files, the pace of training, sizes."""

import types

import numpy as np
import pandas as pd
import pytest

from tfflows import tables
from tfflows.tables.encoder import Encoder
from tfflows.tables.fitting import held_out_rows, size_for
from tfflows.tables.pace import Pace
from tfflows.tables.stored_rows import StoredRows, sample_cells, store_rows

SCHEMA = tables.Schema([tables.Real("x"), tables.Category("c", ("a", "b")), tables.Integer("k")])


def frame(count, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    return pd.DataFrame({"x": x, "c": np.where(x > 0, "a", "b"), "k": np.arange(count)})


def test_stored_rows_are_those_of_the_encoder(tmp_path):
    data = frame(1000)
    cells = SCHEMA.parse(data)
    encoder = Encoder.fit(SCHEMA, cells)
    first, second = store_rows(encoder, SCHEMA.read(data, rows=300), tmp_path, share=0.2, seed=1)
    assert 150 < len(second.codes) < 250
    whole = encoder.encode(cells)
    both = np.concatenate([first.numbers[:, 1, 0], second.numbers[:, 1, 0]])
    np.testing.assert_array_equal(np.sort(both), whole.numbers[:, 1, 0])  # k, in order
    in_first = np.isin(whole.numbers[:, 1, 0], first.numbers[:, 1, 0])
    np.testing.assert_array_equal(first.codes, whole.codes[in_first])
    np.testing.assert_array_equal(first.numbers, whole.numbers[in_first])


def test_an_epoch_holds_each_row_once_in_an_order_of_its_own(tmp_path):
    encoder = Encoder.fit(SCHEMA, SCHEMA.parse(frame(100)))
    rows, _ = store_rows(encoder, SCHEMA.read(frame(100)), tmp_path)
    batches = StoredRows(rows, batch_size=30, seed=0)

    def epoch():
        return [batches[i][0]["numbers"][:, 1, 0] for i in range(len(batches))]

    one = epoch()
    batches.on_epoch_end()
    other = epoch()
    assert [len(batch) for batch in one] == [30, 30, 30, 10]
    np.testing.assert_array_equal(np.sort(np.concatenate(one)), rows.numbers[:, 1, 0])
    np.testing.assert_array_equal(np.sort(np.concatenate(other)), rows.numbers[:, 1, 0])
    assert not np.array_equal(one[0], other[0])


def test_a_sample_of_chunks_takes_every_row_as_often():
    counts = np.zeros(200)
    for seed in range(300):
        cells, rows = sample_cells(SCHEMA.read(frame(200), rows=64), 50, seed)
        assert len(rows) == 50
        np.testing.assert_array_equal(cells["k"].values, rows)
        counts[cells["k"].values] += 1
    # 75 expected of each; a row that was always or never taken would be far out.
    assert abs(counts - 75).max() < 5 * (300 * 0.25 * 0.75) ** 0.5


def paced(pace, losses, steps_per_epoch=10):
    """Rates at the ends of epochs until training ends."""
    model = types.SimpleNamespace(stop_training=False)
    model.optimizer = types.SimpleNamespace(learning_rate=1.0)
    pace.set_model(model)
    pace.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses):
        for batch in range(steps_per_epoch):
            pace.on_train_batch_end(batch)
            if model.stop_training:
                return rates
        pace.on_epoch_end(epoch, {"val_loss": loss})
        rates.append(round(model.optimizer.learning_rate, 3))
        if model.stop_training:
            return rates
    raise AssertionError("training did not end")


def test_the_rate_falls_in_the_second_half_of_the_budget():
    rates = paced(Pace(1.0, 60, None, 3), [-epoch for epoch in range(100)])
    assert rates == [1.0, 1.0, 1.0, 0.667, 0.333]


def test_the_rate_falls_where_validation_gets_no_better_and_then_training_ends():
    rates = paced(Pace(1.0, 10_000, None, 2), [0.0] * 100)
    assert rates == [1.0, 1.0, 1.0, 0.3, 0.3, 0.09, 0.09]


def test_networks_grow_with_the_table():
    widths = [size_for(rows).width for rows in (100, 2_000, 20_000, 10**6)]
    assert widths == sorted(widths)
    assert size_for(100).dropout > size_for(10**6).dropout


def test_a_file_is_fitted_as_a_table_is(tmp_path):
    data = frame(1500).drop(columns="k")
    data.to_csv(tmp_path / "rows.csv", index=False)
    flow = tables.fit(tmp_path / "rows.csv", max_steps=200, verbose=0)
    independent = tables.TableFlow(flow.schema, width=8)
    independent.adapt(data)
    # x says all of c, whose entropy is log 2.
    assert -flow.log_prob(data).mean() < -independent.log_prob(data).mean() - 0.4


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (3, {}, "at least 10 rows. Received: 3"),
        (50, {"validation": 1.5}, "between 0 and 1. Received: 1.5"),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows, options, said):
    with pytest.raises(ValueError, match=said):
        tables.fit(frame(rows), SCHEMA, **options)


def test_held_out_rows_do_not_follow_the_numbers_of_their_own_seed():
    x = np.random.default_rng(0).random(5000)
    held_out = held_out_rows(5000, 0.1, seed=0)
    assert abs(x[held_out].mean() - 0.5) < 0.06  # all below 0.1 by the same generator
