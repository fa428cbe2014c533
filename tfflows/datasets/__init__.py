"""Data by name: `load(name, split)` -> tf.data.Dataset and a description."""

from typing import TYPE_CHECKING

import numpy as np

from tfflows.datasets.bsds_patches import load_bsds_patches
from tfflows.datasets.dataset_info import DatasetInfo, nearest
from tfflows.datasets.embedded import NAMES as EMBEDDED
from tfflows.datasets.embedded import load_embedded
from tfflows.datasets.tfds_images import load_tfds
from tfflows.datasets.toys import sample_toy

if TYPE_CHECKING:  # the library imports TensorFlow only where it is used
    import tensorflow as tf


def load(
    name: str, split: str = "train", condition: bool = False, data_dir: str | None = None
) -> tuple["tf.data.Dataset", DatasetInfo]:
    """Load one split of a dataset, unbatched and in a fixed order.

    `flow.fit(dataset.shuffle(10_000).batch(128))` takes what comes back.

    Args:
        name: "digits", a toy ("8gaussians", "moons", ...), or the TFDS name of an image dataset.
        split: "train", "validation" or "test"; for TFDS any of its split strings too.
        condition: False gives a dataset of x, True one of {"x": x, "condition": one-hot label}.
        data_dir: folder of TFDS datasets; None takes TFDS_DATA_DIR or TFDS's default.

    Returns:
        A tf.data.Dataset of x `[*event_shape]` (uint8 images, float32 points), and a DatasetInfo.

    Raises:
        ValueError: the name (the nearest ones are named) or the split is unknown, or there are no
            labels to condition on.
        OSError: the data are neither there nor can be downloaded.
    """
    import tensorflow as tf

    if name in EMBEDDED:
        x, labels, info = load_embedded(name, split)
        rows = {"image": x} if labels is None else {"image": x, "label": labels}
        dataset = tf.data.Dataset.from_tensor_slices(rows)
    else:
        dataset, info = load_tfds(name, split, data_dir)
    if not condition:
        return dataset.map(lambda row: row["image"]), info
    if info.num_classes is None:
        raise ValueError(f"{name} has no labels to condition on")
    return dataset.map(
        lambda row: {"x": row["image"], "condition": tf.one_hot(row["label"], info.num_classes)}
    ), info


def load_arrays(
    name: str, split: str = "train", condition: bool = False, data_dir: str | None = None
) -> tuple[np.ndarray | tuple[np.ndarray, np.ndarray], DatasetInfo]:
    """As `load`, but NumPy arrays: x `[size, *event_shape]`, or (x, one-hot labels)."""
    if name == "bsds300-patches":
        return load_bsds_patches(split, data_dir)
    dataset, info = load(name, split, condition, data_dir)
    batches = list(dataset.batch(4096).as_numpy_iterator())
    if not condition:
        return np.concatenate(batches), info
    x = np.concatenate([batch["x"] for batch in batches])
    return (x, np.concatenate([batch["condition"] for batch in batches])), info


__all__ = ["EMBEDDED", "DatasetInfo", "load", "load_arrays", "nearest", "sample_toy"]
