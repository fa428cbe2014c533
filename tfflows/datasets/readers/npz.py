"""What a .npz file holds: its arrays by name, and labels; never unpickled."""

import math
import zipfile
from pathlib import Path

import numpy as np

from tfflows.datasets.readers.npy_header import array_place, npy_file, npy_header
from tfflows.utils.damage import damage_named

_CHUNK_BYTES = 2**20


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays in a .npz file."""
    with damage_named(path, "is not an .npz file"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return [name.removesuffix(".npy") for name in names if name.endswith(".npy")]


def read_array(path: Path, key: str, kinds: str = "buif") -> np.ndarray:
    """An array of a .npz file, in memory once; `kinds` as in `npy_header`."""
    with npy_file(path, key) as (file, size):
        shape, fortran, dtype = npy_header(path, key, file, size, kinds)
        flat = np.empty(math.prod(shape), dtype)
        data = flat.view("uint8") if dtype.itemsize else np.empty(0, "uint8")
        with damage_named(array_place(path, key)):
            for start in range(0, len(data), _CHUNK_BYTES):
                into = data[start : start + _CHUNK_BYTES]
                part = file.read(len(into))
                if len(part) < len(into):
                    raise EOFError(f"cut off after {start + len(part)} bytes")
                into[:] = np.frombuffer(part, "uint8")
    return flat.reshape(shape, order="F" if fortran else "C")


def npz_labels(path: Path, key: str, size: int) -> np.ndarray:
    """Labels `[size]`, numbers or words, of a .npz file."""
    with npy_file(path, key) as (file, length):
        shape, _, dtype = npy_header(path, key, file, length, "buifUOSVmMc")
    if shape not in ((size,), (size, 1)) or dtype.kind not in "buifU":
        raise ValueError(
            f"{path}, array {key!r}: labels must be numbers or words, [{size}]. Received: "
            f"{dtype}, {list(shape)}"
        )
    return read_array(path, key, "buifU").reshape(size)
