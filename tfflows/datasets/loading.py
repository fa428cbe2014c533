"""Data by name or path: `load(name, split)` -> tf.data.Dataset and a description."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.registry import check_options, find_loader
from tfflows.datasets.rows import Rows, as_condition, stream_rows
from tfflows.datasets.sets.tfds_images import load_tfds
from tfflows.utils.damage import damage_named

if TYPE_CHECKING:  # the library imports TensorFlow only where it is used
    import tensorflow as tf


def load(
    name: str | Path,
    split: str = "train",
    condition: bool | Sequence[str | int] = False,
    data_dir: str | None = None,
    shuffle_seed: int | None = None,
    **options: Any,
) -> tuple["tf.data.Dataset", DatasetInfo]:
    """Load one split of a dataset, unbatched and in a fixed order.

    `flow.fit(dataset.batch(128).prefetch(2))` takes what comes back. Arrays are read a few
    megabytes at a time: a .npy file may be larger than memory, and no array is held twice.

    Args:
        name: one of `NAMES` ("digits", a toy such as "moons", ...), the path of a .csv, .parquet,
            .npy or .npz file, of a folder of pictures, with a slash in it (`load_image_folder`),
            or the TFDS name of an image dataset.
        split: "train", "validation" or "test"; for files "all" too, for TFDS any of its strings.
        condition: False gives a dataset of x, True one of {"x": x, "condition": one-hot label}.
            Names or indices of columns of a file: {"x": the others, "condition": these columns}.
        data_dir: folder of the files, or of TFDS datasets; None takes TFDS_DATA_DIR or TFDS's
            default for the latter.
        shuffle_seed: None keeps the order; a seed gives each pass over the rows another random
            order, of all rows (TFDS datasets: through a buffer of 10,000 rows).
        **options: options of the dataset. Files take those of `datasets.user_file.load_file`:
            columns, exclude, label, dequantize, array, missing, header, validation, test, seed.
            TFDS datasets take `bits`, 5 for 5-bit images.

    Returns:
        A tf.data.Dataset of x `[*event_shape]` (uint8 images, float32 points), and a DatasetInfo.

    Raises:
        ValueError: the name (the nearest ones are named), the split or an option is unknown, the
            file holds values that no density has, or there are no labels to condition on.
        OSError: the data are not there and cannot be downloaded.

    Example:
        dataset, info = tfflows.datasets.load("digits", "train", condition=True)
    """
    import tensorflow as tf

    name = str(name)
    loader = find_loader(name, data_dir)
    condition = _check(name, loader, condition, options)
    if loader is not None:
        x, labels, info = loader(name, split, data_dir, **options)
        _check_labels(info, condition)
        return stream_rows(x, labels if condition else None, info.num_classes, shuffle_seed), info
    dataset, info = load_tfds(name, split, data_dir, **options)
    _check_labels(info, condition)
    if shuffle_seed is not None:
        dataset = dataset.shuffle(10_000, shuffle_seed)
    if not condition:
        return dataset.map(lambda row: row["image"]), info
    return dataset.map(
        lambda row: {"x": row["image"], "condition": tf.one_hot(row["label"], info.num_classes)}
    ), info


def load_arrays(
    name: str,
    split: str = "train",
    condition: bool | Sequence[str | int] = False,
    data_dir: str | None = None,
    **options: Any,
) -> tuple[Any, DatasetInfo]:
    """As `load`, but NumPy arrays: x `[size, *event_shape]`, or (x, float32 conditions).

    A whole .npy file comes as a memory map of its own type; a part of its rows or columns is read
    into memory, so use `load` for data larger than that.
    """
    rows, info = load_rows(name, split, condition, data_dir, **options)
    x = rows.x if isinstance(rows.x, np.ndarray) else np.asarray(rows.x)
    return (x, rows.condition) if condition else x, info


def load_rows(
    name: str,
    split: str = "train",
    condition: bool | Sequence[str | int] = False,
    data_dir: str | None = None,
    **options: Any,
) -> tuple[Rows, DatasetInfo]:
    """As `load`, but `Rows` of arrays; those of a .npy file stay on disk until they are indexed."""
    return load_rows_by_options(name, split, condition, data_dir, options)


def load_rows_by_options(
    name: str,
    split: str,
    conditional: bool | Sequence[str | int],
    data_dir: str | None,
    options: Mapping[str, Any],
) -> tuple[Rows, DatasetInfo]:
    """As `load_rows`, with options that a person wrote: any of their names and values may be wrong.

    Here `condition` is an option, the columns of the condition of a file, and `conditional` says
    whether the rows come with their labels or conditions.
    """
    name, options = str(name), dict(options)
    loader = find_loader(name, data_dir)
    conditional = _check(name, loader, conditional, options)
    if loader is None:
        return _load_tfds_rows(name, split, conditional, data_dir, options)
    x, labels, info = loader(name, split, data_dir, **options)
    _check_labels(info, conditional)
    return Rows(x, as_condition(labels, info.num_classes) if conditional else None), info


def _check(name, loader, condition, options):
    """Whether conditions are asked for; their columns go to the options, which are checked."""
    if not isinstance(condition, bool):
        options["condition"] = condition
    check_options(name, loader or load_tfds, options)
    return condition is not False


def _load_tfds_rows(name, split, condition, data_dir, options):
    dataset, info = load(name, split, condition, data_dir, **options)
    x = np.empty((info.size, *info.event_shape), "uint8")
    labels = np.empty((info.size, info.num_classes or 0), "float32")
    start = 0
    with damage_named(f"{name} of TFDS"):
        for batch in dataset.batch(4096).as_numpy_iterator():
            rows = slice(start, start + len(batch["x"] if condition else batch))
            x[rows] = batch["x"] if condition else batch
            if condition:
                labels[rows] = batch["condition"]
            start = rows.stop
    return Rows(x, labels if condition else None), info


def _check_labels(info, condition):
    if condition and info.condition_shape is None:
        raise ValueError(
            f"{info.name} has no labels to condition on; a file takes label= or condition="
        )
