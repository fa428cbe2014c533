"""Which elements a coupling keeps."""

import numpy as np
import pytest

from tfflows.layers.partitions import make_partition


@pytest.mark.parametrize("event_shape", [(2,), (5,), (6,), (3, 4, 2), (2, 2, 3), (4, 1, 1)])
@pytest.mark.parametrize("partition", ["half", "channel", "checkerboard", "mask"])
@pytest.mark.parametrize("parity", [0, 1])
def test_split_and_merge_undo_each_other_and_parities_complement(event_shape, partition, parity):
    if partition in ("half", "channel") and event_shape[-1] < 2:
        with pytest.raises(ValueError, match="at least 2 channels"):
            make_partition(partition, parity, event_shape)
        return
    if partition == "mask":
        partition = np.arange(np.prod(event_shape)).reshape(event_shape) % 3 == 0
    x = np.random.default_rng(0).normal(size=(4, *event_shape)).astype("float32")
    split = make_partition(partition, parity, event_shape)
    kept, moved = split.split(x)
    assert tuple(kept.shape[1:]) == split.kept_shape
    assert tuple(moved.shape[1:]) == split.moved_shape
    np.testing.assert_array_equal(split.merge(kept, moved), x)
    other = make_partition(partition, 1 - parity, event_shape).split(x)[0]
    if np.shape(other) == np.shape(moved):
        np.testing.assert_array_equal(other, moved)


@pytest.mark.parametrize("partition", ["half", "checkerboard", [True], [False]])
@pytest.mark.parametrize("parity", [0, 1])
def test_one_element_is_moved_whatever_the_partition(partition, parity):
    x = np.ones((3, 1))
    split = make_partition(partition, parity, (1,))
    kept, moved = split.split(x)
    assert (kept.shape, split.kept_shape, split.moved_shape) == ((3, 0), (0,), (1,))
    np.testing.assert_array_equal(moved, x)
    np.testing.assert_array_equal(split.merge(kept, 2 * moved), 2 * x)


def test_checkerboard_alternates_in_space_with_channels_together():
    x = np.ones((1, 3, 3, 2), "float32")
    kept, _ = make_partition("checkerboard", 0, (3, 3, 2)).split(x)
    np.testing.assert_array_equal(np.asarray(kept)[0, :, :, 0], [[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    np.testing.assert_array_equal(kept[..., 0], kept[..., 1])


@pytest.mark.parametrize(
    ("partition", "event_shape", "message"),
    [
        ("diagonal", (4,), "one of .*'diagonal'"),
        ("half", (0,), "at least 2 elements"),
        ("half", (1, 1, 1), "at least 2 elements"),
        ("diagonal", (1,), "one of .*'diagonal'"),
        ([True, False], (1,), r"shape \(1,\).*shape \(2,\)"),
        ([True, False], (3,), r"shape \(3,\).*shape \(2,\)"),
        ([1, 0, 1], (3,), "int64"),
        ([True, True], (2,), "keeps all"),
        ([False, False], (2,), "keeps none"),
    ],
)
def test_impossible_partitions_are_refused(partition, event_shape, message):
    with pytest.raises(ValueError, match=message):
        make_partition(partition, 0, event_shape)
