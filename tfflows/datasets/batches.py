"""Batches of arrays that stay where they are, in an order that can be taken up at any step."""

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Batches for `fit` and `evaluate`, on every backend, without a second copy of the data.

    With a seed: endless batches, shuffled anew in each pass over the data, without remainders.
    Batch i depends on the seed and `first_step + i` alone, so that a resumed training sees what
    an uninterrupted one would have seen. Without a seed: each row once, in order.

    Args:
        data: x `[n, *event_shape]`, or (x, condition); arrays or memory-mapped ones.
        batch_size: rows a batch; all of them where there are fewer.
        seed: integer, or None for the rows in order.
        first_step: number of the first batch.
    """

    def __init__(self, data, batch_size: int, seed: int | None = None, first_step: int = 0):
        super().__init__()
        self.arrays = data if isinstance(data, tuple) else (data,)
        self.size = len(self.arrays[0])
        self.batch_size = min(batch_size, self.size)
        self.seed = seed
        self.first_step = first_step
        self._shuffled_pass, self._order = None, None

    @property
    def num_batches(self) -> int | None:
        return -(-self.size // self.batch_size) if self.seed is None else None

    @property
    def batches_per_pass(self) -> int:
        """Batches that go over the data once."""
        return max(self.size // self.batch_size, 1)

    def __getitem__(self, index: int):
        if self.seed is None:
            rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        else:
            which, part = divmod(self.first_step + index, self.batches_per_pass)
            rows = self._permutation(which)[part * self.batch_size :][: self.batch_size]
        batch = tuple(np.asarray(array[rows]) for array in self.arrays)
        # Keras takes a pair for (x, targets).
        return batch if len(batch) == 1 else {"x": batch[0], "condition": batch[1]}

    def _permutation(self, which):
        if which != self._shuffled_pass:
            self._order = np.random.default_rng([self.seed, which]).permutation(self.size)
            self._shuffled_pass = which
        return self._order


def spread_rows(data, count: int | None):
    """`count` evenly spread rows of x or (x, condition); all where that is None or no fewer."""
    if isinstance(data, tuple):
        return tuple(spread_rows(array, count) for array in data)
    if count is None or count >= len(data):
        return data
    return np.asarray(data[np.linspace(0, len(data) - 1, count).astype(int)])
