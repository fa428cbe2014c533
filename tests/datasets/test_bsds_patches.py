"""BSDS300 patches: what a patch is, which images it comes from, and the Gaussian's likelihood."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfflows import datasets
from tfflows.datasets.sets import bsds_patches
from tfflows.evaluation.evaluation import GaussianBaseline

REAL = Path(__file__).parents[3] / "shared/data/BSDS500"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Ten training images and four test ones, each of one grey level and its own corner."""
    monkeypatch.setattr(bsds_patches, "NUM_PATCHES", {"train": 200, "validation": 50, "test": 100})
    monkeypatch.setattr(bsds_patches, "_NUM_IMAGES", {"train": 8, "validation": 2, "test": 4})
    for name, count in (("train", 10), ("val", 4)):
        (tmp_path / name).mkdir()
        for i in range(count):
            # A column's level grows by the image's number, so that a patch tells its image.
            grey = np.tile(np.arange(481) * (i + 1) // 40, (321, 1)).astype("uint8")
            grey = grey.T if i % 2 else grey
            Image.fromarray(np.repeat(grey[..., None], 3, -1)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_a_patch_has_no_mean_and_no_last_pixel(folder):
    x, info = datasets.load_arrays("bsds300_patches", "train", data_dir=str(folder))
    assert x.shape == (200, 63) == (info.size, *info.event_shape)
    assert x.dtype == "float32"
    assert info.levels is None
    # Columns rise from left to right, by whole levels with noise of less than one.
    patches = bsds_patches.patch_images(x)[..., 0] * 256
    assert (np.diff(patches, axis=2) > -1).all()
    assert np.abs(patches - patches.mean(axis=1, keepdims=True)).max() < 1
    assert np.abs(patches).max() > 0.1


def test_more_and_mirrored_patches_are_only_for_training(folder):
    def load(split, **options):
        return datasets.load_arrays("bsds300_patches", split, data_dir=str(folder), **options)[0]

    plain = load("train")
    x = load("train", train_size=300, mirror=True)
    assert x.shape == (300, 63)
    whole = bsds_patches.patch_images(x)[..., 0]
    slopes = (whole[:, :, -1] - whole[:, :, 0]).mean(axis=1) * 256
    assert (slopes[1::2] > -1).all()  # flat but for the noise, or rising
    assert (slopes[::2] < 1).all()
    assert slopes[1::2].mean() > 0.4
    assert slopes[::2].mean() < -0.4
    np.testing.assert_array_equal(load("train", mirror=True)[1::2], plain[1::2])
    for split in ("validation", "test"):
        np.testing.assert_array_equal(load(split, train_size=7, mirror=True), load(split))
    with pytest.raises(ValueError, match="Received: 0"):
        load("train", train_size=0)


def test_splits_are_of_other_images_and_repeat(folder):
    def slopes(split):
        x, _ = datasets.load_arrays("bsds300_patches", split, data_dir=str(folder))
        return x

    assert not np.array_equal(slopes("train")[:50], slopes("validation"))
    np.testing.assert_array_equal(slopes("test"), slopes("test"))
    paths = {
        split: bsds_patches._image_paths(split, str(folder), 0)
        for split in ("train", "validation", "test")
    }
    assert {split: len(set(p)) for split, p in paths.items()} == {
        "train": 8, "validation": 2, "test": 4
    }  # fmt: skip
    assert not set(paths["train"]) & set(paths["validation"])


def test_folders_and_images_that_do_not_fit_are_refused(folder):
    path = sorted((folder / "train").iterdir())[0]
    Image.fromarray(np.zeros((321, 480, 3), "uint8")).save(path)
    split = "train" if path in bsds_patches._image_paths("train", folder, 0) else "validation"
    with pytest.raises(ValueError, match=r"481x321 or 321x481. Received: .*png, 480x321"):
        datasets.load_arrays("bsds300_patches", split, data_dir=str(folder))
    path.unlink()
    with pytest.raises(OSError, match=r"10 .jpg or .png files in train. Received: 9 in"):
        datasets.load_arrays("bsds300_patches", "train", data_dir=str(folder))
    with pytest.raises(OSError, match=r"in test or val. Received: 0 in .*test, 0 in .*val"):
        datasets.load_arrays("bsds300_patches", "test", data_dir=str(folder / "train"))
    with pytest.raises(ValueError, match="splits"):
        datasets.load_arrays("bsds300_patches", "all", data_dir=str(folder))


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="requires the images in ../shared/data/BSDS500")
def test_a_gaussian_has_the_published_likelihood_of_the_real_patches():
    """96.4 +- 0.3 nats: the MAF paper has 96.67 +- 0.25 on its own patches."""
    train, test = (
        datasets.load_arrays("bsds300_patches", split, data_dir=str(REAL))[0]
        for split in ("train", "test")
    )
    assert (len(train), len(test)) == (1_000_000, 250_000)
    # A tenth of the training patches fixes the Gaussian to 0.01 nats.
    gaussian = GaussianBaseline(np.array_split(train[::10], 10))
    assert abs(gaussian.evaluate(np.array_split(test, 10)).log_likelihood - 96.4) < 0.3
