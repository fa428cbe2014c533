"""Batches of arrays that stay where they are, in an order that can be taken up at any step."""

from collections.abc import Iterator

import keras
import numpy as np

from tfflows.datasets.rows import Rows


class Batches(keras.utils.PyDataset):
    """Batches for `fit` and `evaluate`, on every backend, without a second copy of the data.

    With a seed: endless batches, shuffled again in each pass over the data, without remainders.
    Batch i depends only on the seed and `first_step + i`, so that a resumed training sees what
    an uninterrupted one would have seen. Without a seed: each row once, in order.

    A batch is (x,), or a dict {"x": x, "condition": condition}.

    Example:
        rows, info = tfflows.datasets.load_rows("digits")
        flow.fit(Batches(rows, 64, seed=0), steps_per_epoch=20)

    Args:
        rows: what to take batches of; arrays in memory, or memory-mapped ones.
        batch_size: rows per batch; all rows if there are fewer.
        seed: integer, or None for the rows in order.
        first_step: number of the first batch.
    """

    def __init__(self, rows: Rows, batch_size: int, seed: int | None = None, first_step: int = 0):
        super().__init__()
        self.rows = rows
        self.batch_size = min(batch_size, len(rows))
        self.seed = seed
        self.first_step = first_step
        self._shuffled_pass: int | None = None
        self._order = np.arange(0)

    @property
    def num_batches(self) -> int | None:
        return -(-len(self.rows) // self.batch_size) if self.seed is None else None

    @property
    def batches_per_pass(self) -> int:
        """Batches that go over the data once."""
        return max(len(self.rows) // self.batch_size, 1)

    def once(self) -> Iterator:
        """Each batch of one pass in order, for data without a seed."""
        return map(self.__getitem__, range(self.num_batches or 0))

    def __getitem__(self, index: int):
        if self.seed is None:
            chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
        else:
            which, part = divmod(self.first_step + index, self.batches_per_pass)
            chosen = self._permutation(self.seed, which)[part * self.batch_size :][
                : self.batch_size
            ]
        x = np.asarray(self.rows.x[chosen])
        if self.rows.condition is None:
            return (x,)
        # A dict, because Keras takes a pair for (x, targets).
        return {"x": x, "condition": np.asarray(self.rows.condition[chosen])}

    def _permutation(self, seed, which):
        if which != self._shuffled_pass:
            self._order = np.random.default_rng([seed, which]).permutation(len(self.rows))
            self._shuffled_pass = which
        return self._order
