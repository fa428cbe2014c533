"""Arrays of .npy and .npz files as batches of numbers, never unpickled."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfflows.datasets.readers.npy_header import array_place, npy_file, npy_header
from tfflows.datasets.readers.npz import npz_keys, read_array
from tfflows.utils.damage import damage_named
from tfflows.utils.suggest import nearest


@dataclasses.dataclass(frozen=True)
class ArrayTable:
    """An array in a .npy or .npz file. Further axes are flattened to columns.

    Attributes:
        path: the file.
        key: which array of a .npz.
        shape: its shape, rows first.
        dtype: its type.
    """

    path: Path
    key: str | None
    shape: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    def open(cls, path: Path, key: str | None = None) -> "ArrayTable":
        """Read the header of the array."""
        if path.suffix.lower() == ".npz":
            keys = npz_keys(path)
            if key is None and len(keys) != 1:
                raise ValueError(f"{path} has the arrays {keys}: choose one by array=")
            key = keys[0] if key is None else key
            if key not in keys:
                raise ValueError(f"{path} has no array {key!r} among {keys}{nearest(key, keys)}")
        with npy_file(path, key) as (file, size):
            shape, _, dtype = npy_header(path, key, file, size)
        if not shape:
            raise ValueError(f"{path} holds a single number, not rows")
        if not math.prod(shape):
            raise ValueError(f"{path} is empty. Received the shape {list(shape)}")
        return cls(path, key, shape, dtype)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self.shape[1:] or (1,)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Indices of the columns."""
        return tuple(map(str, range(math.prod(self.event_shape))))

    def array(self) -> np.ndarray:
        """A memory map of a .npy file, or the array of a .npz file in memory."""
        if self.key is not None:
            return read_array(self.path, self.key)
        with npy_file(self.path, None) as (file, size):
            shape, fortran, dtype = npy_header(self.path, None, file, size)
            with damage_named(self.path):
                order = "F" if fortran else "C"
                return np.memmap(self.path, dtype, "r", file.tell(), shape, order)

    def batches(self, columns: Sequence[int], label: int | None, rows: int) -> Iterator:
        """As `CsvTable.batches`; float32 and smaller types keep their own type."""
        for part in self._parts(rows):
            part = part.reshape(len(part), -1)
            labels = None
            if label is not None:
                labels = np.asarray(
                    [None if v != v else str(v) for v in part[:, label].tolist()], object
                )
            every = len(columns) == part.shape[1] and list(columns) == sorted(columns)
            yield (part if every else part[:, columns]), labels

    def _parts(self, rows):
        with npy_file(self.path, self.key) as (file, size):
            shape, fortran, dtype = npy_header(self.path, self.key, file, size)
            if self.key is None or fortran:  # columns of a compressed array cannot be read by rows
                array = self.array()
                yield from (array[i : i + rows] for i in range(0, len(array), rows))
                return
            row_bytes = dtype.itemsize * math.prod(shape[1:])
            for start in range(0, shape[0], rows):
                count = min(rows, shape[0] - start)
                with damage_named(array_place(self.path, self.key)):
                    data = file.read(row_bytes * count)
                    if len(data) < row_bytes * count:
                        raise EOFError(f"cut off after row {start}")
                yield np.frombuffer(data, dtype).reshape(count, *shape[1:])

    def place(self, row: int) -> str:
        """As `CsvTable.place`."""
        return f"row {row + 1}"
