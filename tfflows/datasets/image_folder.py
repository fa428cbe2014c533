"""A folder of pictures: classes are its subfolders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.readers.pictures import SUFFIXES, picture_size, read_picture
from tfflows.datasets.splits import SPLITS, split_rows
from tfflows.utils.damage import check_expansion

_MAX_CLASSES = 1000


def is_image_folder(name: str, data_dir: str | None = None) -> bool:
    """Whether a name is the path of a folder, which has a slash, and not one that TFDS prepared."""
    folder = Path(data_dir or "") / name
    if "/" not in name or not folder.is_dir():
        return False
    return not any(folder.glob("dataset_info.json")) and not any(folder.glob("*/dataset_info.json"))


def load_image_folder(
    name: str,
    split: str,
    data_dir: str | None = None,
    *,
    size: Sequence[int] | None = None,
    grayscale: bool = False,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray | None, DatasetInfo]:
    """x uint8 `[n, height, width, 1 or 3]`, class numbers `[n]` or None, and the description.

    Args:
        name: path of a folder, with a slash in it, that holds .png, .jpg or .jpeg files, or
            subfolders of them whose names are the classes; other files are ignored.
        split: "train", "validation", "test", or "all" for every picture.
        data_dir: folder that relative paths start from; None takes the current one.
        size: height and width to resize to; None requires pictures of one size.
        grayscale: whether to make one channel instead of three.
        validation: fraction of pictures.
        test: fraction of pictures.
        seed: of the permutation that chooses the pictures of the splits, which keep the order of
            their paths.

    Raises:
        ValueError: there are no pictures, pictures of several sizes, a damaged one, or one of more
            than 89 million pixels, by its path, before its pixels are read.
        OSError: a file cannot be read.

    Example:
        rows, info = tfflows.datasets.load_rows("./flowers", condition=True, size=[32, 32])
    """
    if split not in SPLITS:
        raise ValueError(f"{name} has the splits {list(SPLITS)}. Received: {split!r}")
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"{name}: size must be [height, width]. Received: {list(size)}")
    folder = Path(data_dir or "") / name
    paths, classes = _pictures(folder)
    chosen = split_rows(name, len(paths), split, {"validation": validation, "test": test}, seed)
    height, width = (int(size[0]), int(size[1])) if size is not None else _one_size(paths)
    paths, source = [paths[i] for i in chosen], f"{len(paths)} pictures in {folder}"
    shape = (height, width, 1 if grayscale else 3)
    if size is None:
        check_expansion(folder, len(paths) * height * width, sum(p.stat().st_size for p in paths))
    x = np.empty((len(paths), *shape), "uint8")
    for i, path in enumerate(paths):
        x[i] = read_picture(path, (height, width) if size is not None else None, grayscale)
    labels = num_classes = None
    if classes is not None:
        labels = np.asarray([classes.index(path.parent.name) for path in paths], "int32")
        num_classes = len(classes)
    info = DatasetInfo(name, split, shape, 256, num_classes, len(x), source, classes=classes)
    return x, labels, info


def _pictures(folder):
    """Paths of the pictures in order, and the names of the classes in order, or None."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    by_class = {path.name: _files(path) for path in folders}
    by_class = {name: paths for name, paths in by_class.items() if paths}
    flat = _files(folder)
    if flat and by_class:
        raise ValueError(
            f"{folder} has pictures of its own and in subfolders; keep those of a class in its "
            f"subfolder. Received: {flat[0].name}, and {next(iter(by_class.values()))[0]}"
        )
    if not flat and not by_class:
        raise ValueError(f"{folder} has no files {', '.join(SUFFIXES)}, and no subfolders of them")
    if len(by_class) > _MAX_CLASSES:
        raise ValueError(f"{folder} has {len(by_class)} classes. Expected at most {_MAX_CLASSES}")
    paths = [path for paths in by_class.values() for path in paths]
    return flat or paths, tuple(by_class) or None


def _files(folder):
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())


def _one_size(paths):
    first = picture_size(paths[0])
    for path in paths[1:]:
        other = picture_size(path)
        if other != first:
            raise ValueError(
                f"Expected pictures of one size, or size=[height, width]. Received: {paths[0]} of "
                f"{list(first)}, {path} of {list(other)}"
            )
    return first
