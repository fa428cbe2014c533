"""Batches of arrays that stay where they are, in an order that can be taken up at any step."""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np

from tfflows.datasets.rows import Rows


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of each batch that one of several processes reads.

    Attributes:
        index: of the process, from 0.
        processes: their number. Each reads as many rows, which follow those of the one before.
        devices: their number in all processes together. Each takes as many rows.
    """

    index: int = 0
    processes: int = 1
    devices: int = 1


class Batches(keras.utils.PyDataset):
    """Batches for `fit` and `evaluate`, on every backend, without a second copy of the data.

    With a seed: endless batches, shuffled again in each pass over the data, without remainders.
    Batch i depends only on the seed and `first_step + i`, so that a resumed training sees what
    an uninterrupted one would have seen. Without a seed: each row once, in order.

    A batch is (x,), or a dict {"x": x, "condition": condition}. With a `shard` of several devices
    it is the part that one process reads of each batch, which is the same as without. Where the
    devices do not divide the number of rows without a seed, batches are (x, weight, weight): the
    last row is repeated with a weight of zero, and all weights have the mean 1, so that means over
    the batches are those over the rows.

    Example:
        rows, info = tfflows.datasets.load_rows("digits")
        flow.fit(Batches(rows, 64, seed=0), steps_per_epoch=20)

    Args:
        rows: what to take batches of; arrays in memory, or memory-mapped ones.
        batch_size: rows per batch; all rows if there are fewer.
        seed: integer, or None for the rows in order.
        first_step: number of the first batch.
        shard: which part of each batch to read, of several processes.

    Raises:
        ValueError: there is a seed, and the devices of the shard do not divide the batch.
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        seed: int | None = None,
        first_step: int = 0,
        shard: Shard | None = None,
    ):
        super().__init__()
        self.rows = rows
        self.batch_size = min(batch_size, len(rows))
        self.seed = seed
        self.shard = shard or Shard()
        if seed is None:
            self.batch_size = _raised(self.batch_size, self.shard.devices)
        elif self.batch_size % self.shard.devices:
            raise ValueError(
                f"Expected batch_size to be a multiple of {self.shard.devices}, the number of "
                f"devices. Received: {batch_size}"
                + (f" for {len(rows)} rows" if batch_size > len(rows) else "")
            )
        self.first_step = first_step
        self._shuffled_pass: int | None = None
        self._order = np.arange(0)

    @property
    def num_batches(self) -> int | None:
        return -(-len(self.rows) // self.batch_size) if self.seed is None else None

    @property
    def batches_per_pass(self) -> int:
        """Batches that go over the data once: without the remainder where there is a seed."""
        return self.num_batches or max(len(self.rows) // self.batch_size, 1)

    def once(self) -> Iterator:
        """Each batch of one pass in order, for data without a seed."""
        return map(self.__getitem__, range(self.num_batches or 0))

    def __getitem__(self, index: int):
        start, end = index * self.batch_size, (index + 1) * self.batch_size
        if self.seed is not None:
            which, part = divmod(self.first_step + index, self.batches_per_pass)
            start = part * self.batch_size
            order = self._permutation(self.seed, which)[start : start + self.batch_size]
            return self._take(order[self._own(len(order))])
        if self.shard.devices == 1:
            return self._take(slice(start, end))
        rows = np.arange(start, min(end, _raised(len(self.rows), self.shard.devices)))
        return self._take_padded(rows[self._own(len(rows))])

    def _own(self, size):
        """The part of this process of a batch of `size` rows."""
        share = size // self.shard.processes
        return slice(self.shard.index * share, (self.shard.index + 1) * share)

    def _take(self, chosen):
        x = np.asarray(self.rows.x[chosen])
        if self.rows.condition is None:
            return (x,)
        # A dict, because Keras takes a pair for (x, targets).
        return {"x": x, "condition": np.asarray(self.rows.condition[chosen])}

    def _take_padded(self, places):
        count = len(self.rows)
        padded = _raised(count, self.shard.devices)
        batch = self._take(np.minimum(places, count - 1))
        if padded == count:
            return batch
        weight = np.where(places < count, padded / count, 0).astype("float32")
        # Keras drops weights without a target beside them.
        return (batch[0] if isinstance(batch, tuple) else batch, weight, weight)

    def _permutation(self, seed, which):
        if which != self._shuffled_pass:
            self._order = np.random.default_rng([seed, which]).permutation(len(self.rows))
            self._shuffled_pass = which
        return self._order


def _raised(number, divisor):
    """The least multiple of `divisor` that is not below `number`."""
    return -(-number // divisor) * divisor
