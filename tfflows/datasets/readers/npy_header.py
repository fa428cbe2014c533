"""Headers of .npy files and of arrays in .npz files, checked against the bytes that are there."""

import contextlib
import io
import math
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from tfflows.utils.damage import check_expansion, damage_named

_MAX_HEADER_BYTES = 10_000  # NumPy's own limit
# Each column has a name; more of them than pixels of a large picture are a wrong header.
_MAX_ROW_ELEMENTS = 2**22


def array_place(path: Path, key: str | None) -> str:
    """An array's file and key, for messages."""
    return str(path) if key is None else f"{path}, array {key!r},"


@contextlib.contextmanager
def npy_file(path: Path, key: str | None) -> Iterator[tuple[IO[bytes], int]]:
    """A .npy file, or an array of a .npz file, open for reading, and its size in bytes."""
    with contextlib.ExitStack() as stack:
        if key is None:
            file = stack.enter_context(open(path, "rb"))
            size = os.fstat(file.fileno()).st_size
        else:
            with damage_named(array_place(path, key)):
                archive = stack.enter_context(zipfile.ZipFile(path))
                member = archive.getinfo(f"{key}.npy")
                file, size = stack.enter_context(archive.open(member)), member.file_size
            held = min(member.compress_size, path.stat().st_size)
            check_expansion(array_place(path, key), size, held)
        yield file, size


def npy_header(
    path: Path, key: str | None, file: IO[bytes], size: int, kinds: str = "buif"
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type of the array in an open file.

    Args:
        path: the file, for messages.
        key: the array of a .npz.
        file: at the start of the array; afterwards at its data.
        size: bytes of the array and its header.
        kinds: NumPy's letters of the types to take.

    Raises:
        ValueError: no NumPy array, of objects (which need pickle) or other kinds, or of more data
            than there are.
    """
    place = array_place(path, key)
    with damage_named(place, "is not a NumPy array"):
        version = np.lib.format.read_magic(file)
        digits = file.read(2 if version == (1, 0) else 4)
        length = int.from_bytes(digits, "little")
        if length > _MAX_HEADER_BYTES:
            raise ValueError(f"a header of {length:,} bytes")
        header = io.BytesIO(digits + file.read(length))
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(header)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(header)
    if dtype.hasobject:
        raise ValueError(
            f"{place} holds Python objects, as images of mixed sizes or rows of mixed lengths "
            "become. They would need pickle, which can run any code, and are never loaded. Save "
            "one array of numbers of one shape"
        )
    if dtype.kind not in kinds:
        raise ValueError(f"Expected {place} to hold numbers. Received: {dtype}")
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise ValueError(f"{place} is damaged: it has the shape {shape}")
    promised, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if promised > there:
        raise ValueError(
            f"{place} is damaged: {dtype} of shape {shape} are {promised:,} bytes, "
            f"and {there:,} are there"
        )
    if math.prod(shape[1:]) > _MAX_ROW_ELEMENTS:
        raise ValueError(
            f"Expected {place} to have at most {_MAX_ROW_ELEMENTS:,} numbers per row. Received: "
            f"the shape {shape}"
        )
    return shape, fortran, dtype
