"""Image datasets by their TFDS name, in file order."""

import os

import numpy as np

from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.registry import NAMES
from tfflows.utils.suggest import nearest


def load_tfds(name: str, split: str, data_dir: str | None, *, bits: int = 8):
    """A tf.data.Dataset of {"image": ..., "label": ...} rows and its description.

    Args:
        name: TFDS name of a dataset with an "image" of fixed shape.
        split: "train", "validation", "test", or any TFDS split such as "train[:1000]". Where the
            dataset has no validation split, it is the last sixth of train, and "train" the rest.
        data_dir: TFDS folder; None takes TFDS_DATA_DIR, or TFDS's default. A dataset that is
            prepared there is not downloaded.
        bits: bits per pixel, 1 to 8; below 8 the lowest bits are dropped (Glow's 5-bit images).
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    if not isinstance(bits, int) or not 1 <= bits <= 8:
        raise ValueError(f"bits must be an integer from 1 to 8. Received: {bits!r}")

    try:
        builder = tfds.builder(name, data_dir=data_dir or os.environ.get("TFDS_DATA_DIR"))
    except (tfds.core.registered.DatasetNotFoundError, ValueError, AssertionError) as error:
        hint = nearest(name, [*NAMES, *tfds.list_builders(with_community_datasets=False)])
        raise ValueError(f"There is no dataset {name!r}{hint}") from error
    _check_features(name, builder.info.features)
    try:
        builder.download_and_prepare()
    except ImportError:
        raise
    except Exception as error:  # TFDS raises whatever its download library does
        raise OSError(
            f"{name} is not prepared in {builder.data_dir} and could not be downloaded "
            f"({type(error).__name__}: {error}). Set TFDS_DATA_DIR to a folder that holds it"
        ) from error
    spec = _split_spec(name, split, builder.info.splits)
    dataset = builder.as_dataset(
        split=spec,
        shuffle_files=False,
        # One file after the other, because published splits are row numbers in file order.
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    if bits < 8:
        dataset = dataset.map(
            lambda row: {
                **row,
                "image": tf.bitwise.right_shift(row["image"], tf.cast(8 - bits, "uint8")),
            }
        )
    features = builder.info.features
    return dataset, DatasetInfo(
        name=name,
        split=split,
        event_shape=tuple(features["image"].shape),
        levels=2**bits,
        num_classes=features["label"].num_classes if "label" in features else None,
        size=builder.info.splits[spec].num_examples,
        source=f"TFDS {builder.info.full_name}, {builder.info.homepage}",
    )


def _check_features(name, features):
    shape = tuple(features["image"].shape) if "image" in features else None
    if shape is None or None in shape:
        received = "no images" if shape is None else f"images of shape {shape}"
        raise ValueError(
            f"A flow requires images of one fixed shape. Received: {name} with {received}"
        )
    dtype = np.dtype(features["image"].np_dtype)
    if dtype != "uint8":
        raise ValueError(f"Images must be uint8. Received: {name}, {dtype}")


def _split_spec(name: str, split: str, splits) -> str:
    if "validation" not in splits and "train" in splits:
        held_out = splits["train"].num_examples // 6
        carved = {"train": f"train[:-{held_out}]", "validation": f"train[-{held_out}:]"}
        split = carved.get(split, split)
    if split.partition("[")[0].partition("+")[0] not in splits:
        raise ValueError(f"{name} has the splits {sorted(splits)}. Received: {split!r}")
    return split
