"""Rows of a dataset: their batches, in an order that can be taken up, and evenly spread ones."""

import numpy as np
import pytest

from tfflows import datasets
from tfflows.datasets import Rows
from tfflows.datasets.batches import Batches, Shard


def test_batches_go_over_the_data_in_an_order_that_can_be_taken_up():
    rows = Rows(np.arange(10))
    batches = Batches(rows, 3, seed=1)
    assert batches.num_batches is None
    assert batches.batches_per_pass == 3
    passes = [np.concatenate([batches[i][0] for i in range(p, p + 3)]) for p in (0, 3)]
    assert all(len(set(part)) == 9 for part in passes)
    assert list(passes[0]) != list(passes[1])
    later = Batches(rows, 3, seed=1, first_step=4)
    np.testing.assert_array_equal(later[1][0], batches[5][0])
    assert list(Batches(rows, 3, seed=2)[0][0]) != list(batches[0][0])


def test_batches_without_a_seed_hold_each_row_once_in_order():
    x, condition = np.arange(10), np.arange(10) * 2
    batches = Batches(Rows(x, condition), 4)
    assert batches.num_batches == batches.batches_per_pass == 3
    parts = [batches[i] for i in range(3)]
    np.testing.assert_array_equal(np.concatenate([part["x"] for part in parts]), x)
    np.testing.assert_array_equal(np.concatenate([part["condition"] for part in parts]), condition)
    assert Batches(Rows(x), 100)[0][0].base is x


def test_spread_rows_are_even_and_keep_their_conditions():
    x, condition = np.arange(10) * 3, np.arange(10)
    rows = Rows(x, condition)
    few = rows.spread(4)
    assert len(few) == 4
    np.testing.assert_array_equal(few.condition, [0, 3, 6, 9])
    np.testing.assert_array_equal(few.x, few.condition * 3)
    assert Rows(x).spread(4).condition is None
    for count in (None, 10, 11):
        assert rows.spread(count) is rows


@pytest.mark.parametrize("condition", [False, True])
def test_rows_of_a_file_stay_on_disk_until_they_are_indexed(tmp_path, condition):
    x = np.random.default_rng(0).normal(size=(50, 4))
    x[:, 3] = np.arange(50) % 3
    np.save(tmp_path / "x.npy", x)
    options = {"columns": [0, 2], "label": 3}
    rows, info = datasets.load_rows(str(tmp_path / "x.npy"), "test", condition, **options)
    assert isinstance(rows, Rows)
    assert not isinstance(rows.x, np.ndarray)
    assert len(rows) == info.size == 5
    chosen = np.sort(np.random.default_rng(0).permutation(50)[5:10])
    np.testing.assert_array_equal(np.asarray(rows.x), x[np.ix_(chosen, [0, 2])])
    if condition:
        np.testing.assert_array_equal(rows.condition.argmax(axis=1), x[chosen, 3])
        np.testing.assert_array_equal(rows.spread(2).condition, rows.condition[[0, -1]])
    else:
        assert rows.condition is None
    np.testing.assert_array_equal(rows.spread(2).x, x[np.ix_(chosen[[0, -1]], [0, 2])])


def _parts(rows, batch_size, processes, seed=None, first_step=0):
    shards = [Shard(i, processes, 4) for i in range(processes)]
    return [Batches(rows, batch_size, seed, first_step, shard) for shard in shards]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_read_the_parts_of_the_batches_of_one(processes):
    rows = Rows(np.arange(50), np.arange(50) * 2)
    whole = Batches(rows, 12, seed=1, first_step=3)
    parts = _parts(rows, 12, processes, seed=1, first_step=3)
    for step in range(9):  # over two ends of a pass
        for key in ("x", "condition"):
            read = [part[step][key] for part in parts]
            assert {len(each) for each in read} == {12 // processes}
            np.testing.assert_array_equal(np.concatenate(read), whole[step][key])


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("count", [48, 49, 51, 5])
def test_means_of_padded_batches_are_those_of_the_rows(processes, count):
    values = np.random.default_rng(0).normal(size=count)
    parts = _parts(Rows(values), 8, processes)
    sums = weights = rows = 0.0
    seen = []
    for step in range(parts[0].num_batches):
        batches = [part[step] for part in parts]
        assert len({len(batch[0]) for batch in batches}) == 1
        for x, *rest in batches:
            weight = rest[1] if rest else np.ones(len(x))
            sums, weights, rows = sums + np.sum(weight * x), weights + weight.sum(), rows + len(x)
            seen.extend(x[weight > 0])
    np.testing.assert_array_equal(np.sort(seen), np.sort(values))  # each row once
    assert rows % 4 == 0
    # Keras divides the loss by the number of rows, and a metric by the sum of the weights.
    np.testing.assert_allclose([sums / rows, sums / weights], values.mean(), rtol=1e-6)


def test_batches_that_devices_do_not_divide_are_refused():
    rows = Rows(np.arange(50))
    with pytest.raises(ValueError, match=r"multiple of 4, the number of devices. Received: 30"):
        Batches(rows, 30, seed=0, shard=Shard(devices=4))
    with pytest.raises(ValueError, match=r"Received: 64 for 50 rows"):
        Batches(rows, 64, seed=0, shard=Shard(devices=4))
