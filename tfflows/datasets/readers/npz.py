"""What a .npz file holds: its arrays by name, and labels; never unpickled."""

import zipfile
from pathlib import Path

import numpy as np


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays in a .npz file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not an .npz file: {error}") from error
    return [name.removesuffix(".npy") for name in names if name.endswith(".npy")]


def npz_labels(path: Path, key: str, size: int) -> np.ndarray:
    """Labels `[size]`, numbers or words, of a .npz file."""
    with np.load(path, allow_pickle=False) as arrays:
        try:
            labels = arrays[key]
        except ValueError as error:  # objects
            raise ValueError(f"{path}, array {key!r}: labels must be numbers or words") from error
    labels = labels[:, 0] if labels.shape == (size, 1) else labels
    if labels.shape != (size,) or labels.dtype.kind not in "buifU":
        raise ValueError(
            f"{path}, array {key!r}: labels must be numbers or words, [{size}]. Received: "
            f"{labels.dtype}, {list(labels.shape)}"
        )
    return labels
