"""Patches of natural images, 63-dimensional (Uria et al. 2013; MAF, Papamakarios et al. 2017)."""

from pathlib import Path

import numpy as np

from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.readers.pictures import picture_size, read_picture

NUM_PATCHES = {"train": 1_000_000, "validation": 50_000, "test": 250_000}
_NUM_IMAGES = {"train": 180, "validation": 20, "test": 100}
_IMAGE_SHAPE = (321, 481)
_GREY_WEIGHTS = (0.298936, 0.587043, 0.114021)  # of red, green, blue: Matlab's rgb2gray


def load_bsds_patches(
    name: str,
    split: str,
    data_dir: str | None,
    *,
    seed: int = 0,
    train_size: int | None = None,
    mirror: bool = False,
) -> tuple[np.ndarray, None, DatasetInfo]:
    """8x8 patches at random places of BSDS300 images, with the mean and the last pixel taken out.

    Grey images u8 are dequantized, (u8 + U[0, 1)) / 256, the mean of each patch is subtracted, and
    the bottom-right pixel, which the others then determine, is dropped. 180 of the 200 training
    images give 1,000,000 training patches, the other 20 of a seeded permutation 50,000 validation
    patches, the 100 test images 250,000.

    Args:
        name: "bsds300_patches".
        split: "train", "validation" or "test".
        data_dir: folder with the images of BSDS300, in "train" (200) and "test" or "val" (100),
            as .jpg or .png; BSDS500 holds them as its train and val.
        seed: seed of the permutation, the places and the noise.
        train_size: number of training patches; None takes 1,000,000. The 180 images have 26
            million places.
        mirror: whether half of the training patches are turned left to right. The patches of the
            other splits stay those of the literature.

    Returns:
        x float32 `[size, 63]`, about in [-1, 1]; None, as there are no labels; the description.

    Raises:
        ValueError: the split is unknown, train_size is below 1, or images have a wrong size.
        OSError: the folder does not hold the images.
    """
    if split not in NUM_PATCHES:
        raise ValueError(f"{name} has the splits {list(NUM_PATCHES)}. Received: {split!r}")
    if train_size is not None and train_size < 1:
        raise ValueError(f"train_size must be a number of patches. Received: {train_size}")
    paths = _image_paths(split, data_dir, seed)
    rng = np.random.default_rng([seed, list(NUM_PATCHES).index(split)])
    images = np.stack([_read_grey(path) for path in paths])
    training = split == "train"
    x = np.empty((train_size if training and train_size else NUM_PATCHES[split], 63), "float32")
    for chunk in np.array_split(np.arange(len(x)), max(len(x) // 50_000, 1)):
        x[chunk] = _draw_patches(images, len(chunk), rng, training and mirror)
    source = "BSDS300 images (Martin et al. 2001), patches after Uria et al. 2013"
    return x, None, DatasetInfo(name, split, (63,), None, None, len(x), source)


def patch_images(x: np.ndarray) -> np.ndarray:
    """Patches x `[n, 63]` as images `[n, 8, 8, 1]` of mean zero, which gives their last pixel."""
    return np.concatenate([x, -np.sum(x, axis=1, keepdims=True)], axis=1).reshape(-1, 8, 8, 1)


def _draw_patches(images, num_patches, rng, mirror):
    which = rng.integers(0, len(images), num_patches)
    top = rng.integers(0, _IMAGE_SHAPE[0] - 7, num_patches)
    left = rng.integers(0, _IMAGE_SHAPE[1] - 7, num_patches)
    rows = top[:, None, None] + np.arange(8)[:, None]
    columns = left[:, None, None] + np.arange(8)
    patches = images[which[:, None, None], rows, columns]
    if mirror:
        patches = np.where(np.arange(num_patches)[:, None, None] % 2, patches, patches[:, :, ::-1])
    patches = patches.reshape(num_patches, 64)
    patches = (patches + rng.uniform(size=patches.shape)) / 256
    return (patches - patches.mean(axis=1, keepdims=True))[:, :-1]


def _image_paths(split, data_dir, seed):
    counts = _NUM_IMAGES
    expected = counts["test"] if split == "test" else counts["train"] + counts["validation"]
    folders = ("test", "val") if split == "test" else ("train",)
    root = Path(data_dir or ".")
    found = {}
    for folder in folders:
        paths = [p for p in (root / folder).glob("*") if p.suffix.lower() in (".jpg", ".png")]
        found[folder] = sorted(paths)
        if len(paths) == expected:
            break
    else:
        received = ", ".join(f"{len(paths)} in {root / name}" for name, paths in found.items())
        raise OSError(
            f"The patches require data_dir with the images of BSDS300: {expected} .jpg or .png "
            f"files in {' or '.join(folders)}. Received: {received}"
        )
    paths = found[folder]
    if split == "test":
        return paths
    order = np.random.default_rng(seed).permutation(expected)
    chosen = order[: counts["train"]] if split == "train" else order[counts["train"] :]
    return [paths[i] for i in chosen]


def _read_grey(path):
    """One image as uint8 `[321, 481]`; portrait ones are transposed."""
    if picture_size(path) not in (_IMAGE_SHAPE, _IMAGE_SHAPE[::-1]):
        height, width = picture_size(path)
        raise ValueError(
            f"BSDS300 images are 481x321 or 321x481. Received: {path}, {width}x{height}"
        )
    colours = read_picture(path).astype("float64")
    grey = np.round(colours @ _GREY_WEIGHTS).astype("uint8")
    return grey if grey.shape == _IMAGE_SHAPE else grey.T
