"""Static binarised MNIST and Frey faces from .npz files."""

from pathlib import Path

import numpy as np

from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.readers.npy import ArrayTable

SPLITS = ("train", "validation", "test")
_FREY_ROWS = {"train": 1565, "validation": 200, "test": 200}


def load_binarized_mnist(
    name: str, split: str, data_dir: str | None = None
) -> tuple[np.ndarray, None, DatasetInfo]:
    """MNIST binarised once (Larochelle & Murray 2011): x uint8 {0, 1} `[size, 28, 28, 1]`.

    Args:
        name: "binarized_mnist".
        split: "train", "validation" or "test", 50,000 / 10,000 / 10,000 in the archive.
        data_dir: folder of binarized_mnist.npz, whose x_train, x_valid and x_test are uint8
            `[n, 98]`, rows of 784 pixels packed by np.packbits.
    """
    _check_split(name, split)
    path = _path(name, data_dir)
    keys = {"train": "x_train", "validation": "x_valid", "test": "x_test"}
    packed = _uint8(path, keys[split], (98,))
    x = np.unpackbits(packed, axis=1).reshape(-1, 28, 28, 1)
    source = f"MNIST binarised by Larochelle & Murray 2011, from {path.name}"
    return x, None, DatasetInfo(name, split, (28, 28, 1), 2, None, len(x), source)


def load_frey_faces(
    name: str, split: str, data_dir: str | None = None, *, seed: int = 123
) -> tuple[np.ndarray, None, DatasetInfo]:
    """Frames of Brendan Frey's face: x uint8 `[size, 28, 20, 1]`.

    Args:
        name: "frey_faces".
        split: "train" (1565), "validation" (200) or "test" (200).
        data_dir: folder of frey_faces.npz, whose x is uint8 `[1965, 28, 20]` in the original order.
        seed: seed of the permutation before the split. Sylvester flows (van den Berg et al. 2018)
            draw it by NumPy's legacy generator from 123, 321 and 231.
    """
    _check_split(name, split)
    path = _path(name, data_dir)
    images = _uint8(path, "x", (28, 20))
    if len(images) != sum(_FREY_ROWS.values()):
        raise ValueError(f"{path}, array 'x': expected 1965 images. Received: {len(images)}")
    order = np.random.RandomState(seed).permutation(len(images))
    train, held_out = _FREY_ROWS["train"], _FREY_ROWS["train"] + _FREY_ROWS["validation"]
    x = images[np.split(order, [train, held_out])[SPLITS.index(split)]][..., None]
    source = f"Frey faces (Roweis), split by seed {seed}, from {path.name}"
    return x, None, DatasetInfo(name, split, (28, 20, 1), 256, None, len(x), source)


def _check_split(name, split):
    if split not in SPLITS:
        raise ValueError(f"{name} has the splits {list(SPLITS)}. Received: {split!r}")


def _path(name, data_dir):
    if data_dir is None:
        raise OSError(f"{name} requires the folder of {name}.npz as data_dir")
    path = Path(data_dir) / f"{name}.npz"
    if not path.is_file():
        folder = path.parent
        there = sorted(p.name for p in folder.iterdir())[:20] if folder.is_dir() else "no folder"
        raise FileNotFoundError(f"{name} requires {path}. There is: {there}")
    return path


def _uint8(path, key, event_shape):
    table = ArrayTable.open(path, key)
    if table.shape[1:] != event_shape or table.dtype != "uint8":
        raise ValueError(
            f"{path}, array {key!r}: expected uint8 [n, {', '.join(map(str, event_shape))}]. "
            f"Received: {table.dtype}, {list(table.shape)}"
        )
    return table.array()
