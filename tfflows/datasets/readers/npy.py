"""Arrays of .npy and .npz files as batches of numbers, never unpickled."""

import contextlib
import dataclasses
import functools
import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfflows.datasets.readers.npz import npz_keys
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
        if path.suffix == ".npz":
            keys = npz_keys(path)
            if key is None and len(keys) != 1:
                raise ValueError(f"{path} has the arrays {keys}: choose one by array=")
            key = keys[0] if key is None else key
            if key not in keys:
                raise ValueError(f"{path} has no array {key!r} among {keys}{nearest(key, keys)}")
        with _npy_file(path, key) as file:
            shape, _, dtype = _npy_header(path, key, file)
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
        with _damage_named(self.path, self.key):
            if self.key is None:
                return np.load(self.path, mmap_mode="r", allow_pickle=False)
            with np.load(self.path, allow_pickle=False) as arrays:
                return arrays[self.key]

    def batches(self, columns: Sequence[int], label: int | None, rows: int):
        """As `CsvTable.batches`."""
        for part in self._parts(rows):
            part = part.reshape(len(part), -1)
            labels = None
            if label is not None:
                labels = np.asarray(
                    [None if v != v else str(v) for v in part[:, label].tolist()], object
                )
            every = len(columns) == part.shape[1] and list(columns) == sorted(columns)
            yield (part if every else part[:, columns]).astype("float32"), labels

    def _parts(self, rows):
        with _npy_file(self.path, self.key) as file:
            shape, fortran, dtype = _npy_header(self.path, self.key, file)
            if self.key is None or fortran:  # columns of a compressed array cannot be read by rows
                array = self.array()
                yield from (array[i : i + rows] for i in range(0, len(array), rows))
                return
            row_bytes = dtype.itemsize * math.prod(shape[1:])
            for start in range(0, shape[0], rows):
                count = min(rows, shape[0] - start)
                with _damage_named(self.path, self.key):
                    data = file.read(row_bytes * count)
                    if len(data) < row_bytes * count:
                        raise EOFError(f"cut off after row {start}")
                yield np.frombuffer(data, dtype).reshape(count, *shape[1:])

    def place(self, row: int) -> str:
        """As `CsvTable.place`."""
        return f"row {row + 1}"


@contextlib.contextmanager
def _damage_named(path, key):
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        where = f"{path}, array {key!r}," if key else path
        raise ValueError(f"{where} is damaged: {error}") from error


@contextlib.contextmanager
def _npy_file(path, key):
    if key is None:
        with open(path, "rb") as file:
            yield file
    else:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            yield file


def _npy_header(path, key, file):
    """Shape, order and type of an array of numbers; ValueError for objects, which need pickle."""
    where = f"{path}, array {key!r}" if key else str(path)
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
    except ValueError as error:
        raise ValueError(f"{where} is not a NumPy array: {error}") from error
    if dtype.hasobject:
        raise ValueError(
            f"{where} holds Python objects, as images of mixed sizes or rows of mixed lengths "
            "become. They would need pickle, which can run any code, and are never loaded. Save "
            "one array of numbers of one shape"
        )
    if dtype.kind not in "buif":
        raise ValueError(f"Expected {where} to hold numbers. Received: {dtype}")
    return shape, fortran, dtype
