"""Batches in groups, each of which one compiled call takes; where they fit, from the device."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from tfflows.training.many_steps import Group, Stack


class GroupedBatches(DataAdapter):
    """What Keras' trainer takes as data: an iterable of `Group`s, and the hooks of epochs.

    Batches of another shape than the first one, such as the last of an epoch, make stacks of one.

    Args:
        batches: Keras' adapter of the batches, or of their rows' numbers.
        size: batches per group; the last group of an epoch has those that are left.
        capacity: batches that a stack has room for; no group may have more. What is compiled is
            for this number, so that `size` may change.
        steps_per_epoch: where an epoch ends before the batches do, or None.
        data: arrays of all rows on the device, where `batches` has the rows' numbers, or None.
    """

    def __init__(
        self,
        batches: DataAdapter,
        size: int,
        capacity: int,
        steps_per_epoch: int | None = None,
        data: Any = None,
    ):
        self.size = size
        self._batches = batches
        self.capacity = capacity
        self._steps_per_epoch = steps_per_epoch
        self._data = data
        self._first_shapes: list | None = None

    @property
    def num_batches(self) -> int | None:
        # An epoch of given steps starts where the last one ended, which Keras cannot count.
        return self._batches.num_batches if self._steps_per_epoch is None else None

    @property
    def batches_per_epoch(self) -> int | None:
        """Batches of an epoch, or None where they are not known."""
        return self._steps_per_epoch or self._batches.num_batches

    def example(self) -> Group:
        """A group as the first one, which leaves NumPy's random numbers as they were."""
        state = np.random.get_state()
        group = next(iter(self))
        np.random.set_state(state)
        return group

    def on_epoch_begin(self):
        self._batches.on_epoch_begin()

    def on_epoch_end(self):
        self._batches.on_epoch_end()

    def get_jax_iterator(self) -> Iterator[Group]:
        return iter(self)

    def get_tf_dataset(self) -> "GroupedBatches":
        return self  # Keras only iterates over it, where there is no distribution strategy

    def __iter__(self) -> Iterator[Group]:
        """Groups of one pass, or without end where epochs end before the batches do."""
        iterator = self._single_batches()
        step = 0  # in the epoch
        while True:
            end = self._steps_per_epoch
            size = self.size if end is None else min(self.size, end - step)
            batches = list(itertools.islice(iterator, size))
            if not batches:
                if step or end is None:
                    return
                iterator = self._single_batches()
                batches = list(itertools.islice(iterator, size))
            yield Group(tuple(self._stacks(batches)))
            step = 0 if end is None else (step + len(batches)) % end

    def _single_batches(self):
        is_jax = keras.backend.backend() == "jax"
        return iter(
            self._batches.get_jax_iterator() if is_jax else self._batches.get_numpy_iterator()
        )

    def _stacks(self, batches) -> Iterator[Stack]:
        for shapes, alike in itertools.groupby(batches, _shapes):
            if self._first_shapes is None:
                self._first_shapes = shapes
            if shapes == self._first_shapes:
                yield self._stack(list(alike), self.capacity)
            else:
                yield from (self._stack([batch], 1) for batch in alike)

    def _stack(self, batches, capacity) -> Stack:
        padded = batches + batches[-1:] * (capacity - len(batches))
        arrays = keras.tree.map_structure(_join, *padded)
        count = np.int32(len(batches))
        if self._data is None:
            return Stack(arrays, None, count)
        return Stack(self._data, keras.tree.flatten(arrays)[0], count)


def _shapes(batch):
    return [array.shape for array in keras.tree.flatten(batch) if array is not None]


def _join(*arrays):
    if arrays[0] is None:
        return None
    if all(isinstance(array, np.ndarray) for array in arrays):
        return np.stack(arrays)
    return keras.ops.stack(arrays)
