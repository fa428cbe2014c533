"""Batches in groups, each of which one compiled call takes; where they fit, from the device."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from tfflows.training.many_steps import Group, Stack


class GroupedBatches(DataAdapter):
    """What Keras' trainer on JAX takes as data: an iterator of `Group`s, and the hooks of epochs.

    Batches of another shape than the first one, such as the last of an epoch, make stacks of one.

    Args:
        batches: Keras' adapter of the batches, or of their rows' numbers `(rows,)`.
        size: batches per group; the last group of an epoch has those that are left.
        steps_per_epoch: where an epoch ends before the batches do, or None.
        data: arrays of all rows on the device, where `batches` has the rows' numbers, or None.
    """

    def __init__(
        self,
        batches: DataAdapter,
        size: int,
        steps_per_epoch: int | None = None,
        data: Any = None,
    ):
        self._batches = batches
        self._size = size
        self._steps_per_epoch = steps_per_epoch
        self._data = data
        self._first_shapes: list | None = None

    @property
    def num_batches(self) -> int | None:
        # An epoch of given steps starts where the last one ended, which Keras cannot count.
        return self._batches.num_batches if self._steps_per_epoch is None else None

    def on_epoch_begin(self):
        self._batches.on_epoch_begin()

    def on_epoch_end(self):
        self._batches.on_epoch_end()

    def get_jax_iterator(self) -> Iterator[Group]:
        """Groups of one pass, or without end where epochs end before the batches do."""
        iterator = iter(self._batches.get_jax_iterator())
        step = 0  # in the epoch
        while True:
            end = self._steps_per_epoch
            size = self._size if end is None else min(self._size, end - step)
            batches = list(itertools.islice(iterator, size))
            if not batches:
                if step or end is None:
                    return
                iterator = iter(self._batches.get_jax_iterator())
                batches = list(itertools.islice(iterator, size))
            yield Group(tuple(self._stacks(batches)))
            step = 0 if end is None else (step + len(batches)) % end

    def _stacks(self, batches) -> Iterator[Stack]:
        for shapes, alike in itertools.groupby(batches, _shapes):
            if self._first_shapes is None:
                self._first_shapes = shapes
            alike = list(alike)
            size = self._size if shapes == self._first_shapes else 1
            for start in range(0, len(alike), size):
                yield self._stack(alike[start : start + size], size)

    def _stack(self, batches, size) -> Stack:
        padded = batches + batches[-1:] * (size - len(batches))
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
    import jax

    return jax.numpy.stack(arrays)
