"""Encoded rows in files, for tables that do not fit into memory."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np

from tfflows.tables.columns import Cells
from tfflows.tables.encoder import Encoded, Encoder


class StoredRows(keras.utils.PyDataset):
    """Batches of encoded rows, which are read from files as they are asked for.

    Args:
        encoded: arrays, which may lie in files.
        batch_size: rows per batch; the last has fewer.
        seed: rows are in a new order in each epoch, by this seed; None keeps them in order.
    """

    def __init__(self, encoded: Encoded, batch_size: int, seed: int | None = None):
        super().__init__()
        self.encoded, self.batch_size = encoded, batch_size
        self._random = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(len(encoded.codes))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._order) // self.batch_size)

    def __getitem__(self, index: int):
        rows = np.sort(self._order[index * self.batch_size : (index + 1) * self.batch_size])
        return ({"codes": self.encoded.codes[rows], "numbers": self.encoded.numbers[rows]},)

    def on_epoch_end(self) -> None:
        """Take a new order."""
        if self._random is not None:
            self._random.shuffle(self._order)


def sample_cells(
    chunks: Iterable[Mapping[str, Cells]], max_rows: int, seed: int
) -> tuple[dict[str, Cells], np.ndarray]:
    """Cells of up to `max_rows` rows of a table, each row as likely as the others, in one pass.

    Returns:
        The cells in order, and the numbers of their rows.
    """
    random = np.random.default_rng((seed, 0x5A3C))
    kept: dict[str, Cells] = {}
    keys, rows, count = np.empty(0), np.empty(0, "int64"), 0
    for chunk in chunks:
        new = random.random(len(next(iter(chunk.values())).values))
        if kept:
            chunk = {
                name: Cells(*(np.concatenate(pair) for pair in zip(kept[name], cells, strict=True)))
                for name, cells in chunk.items()
            }
        keys = np.concatenate([keys, new])
        rows = np.concatenate([rows, count + np.arange(len(new))])
        count += len(new)
        chosen = np.sort(np.argsort(keys)[:max_rows])  # rows with the smallest keys
        keys, rows = keys[chosen], rows[chosen]
        kept = {n: Cells(c.values[chosen], c.missing[chosen]) for n, c in chunk.items()}
    return kept, rows


def held_out_generator(seed: int) -> np.random.Generator:
    """Draws the rows that are held out.

    Not the generator of `seed` itself: a table that was made by that would be split by its own
    numbers.
    """
    return np.random.default_rng((seed, 0x5917))


def store_rows(
    encoder: Encoder,
    chunks: Iterable[Mapping[str, Cells]],
    folder: Path,
    share: float = 0.0,
    seed: int = 0,
) -> tuple[Encoded, Encoded]:
    """Encode a table chunk by chunk into files.

    Args:
        encoder: of the table.
        chunks: of cells, as `Schema.read` gives them.
        folder: of the files.
        share: of the rows, chosen at random, that go into the second part.
        seed: of the choice.

    Returns:
        Two parts, whose arrays lie in the files.
    """
    random = held_out_generator(seed)
    paths = [folder / f"{name}{part}" for part in (0, 1) for name in Encoded._fields]
    files = [path.open("wb") for path in paths]
    try:
        for chunk in chunks:
            encoded = encoder.encode(chunk)
            is_second = random.random(len(encoded.codes)) < share
            for number, array in enumerate((*encoded, *encoded)):
                array[is_second if number > 1 else ~is_second].tofile(files[number])
    finally:
        for file in files:
            file.close()
    columns, numbers = len(encoder.schema), len(encoder.marginals)
    shapes = [("int32", (-1, columns)), ("float32", (-1, numbers, 4))] * 2
    arrays = [_mapped(path, *shape) for path, shape in zip(paths, shapes, strict=True)]
    return Encoded(*arrays[:2]), Encoded(*arrays[2:])


def _mapped(path, dtype, shape):
    if not path.stat().st_size:  # which cannot be mapped: no rows, or no columns of numbers
        return np.zeros((0, *shape[1:]), dtype)
    return np.memmap(path, dtype, "r").reshape(shape)
