"""Datasets by name: shapes, splits, the true densities of the toys, errors."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from tfflows import datasets
from tfflows.datasets.sets.toys import GENERATORS

SHARED_TFDS = Path(__file__).parents[3] / "shared" / "tfds"
needs_shared = pytest.mark.skipif(
    not SHARED_TFDS.exists(), reason="prepared TFDS data lie beside the developers' checkout only"
)


@pytest.mark.parametrize("name", datasets.EMBEDDED)
def test_embedded_datasets_are_what_their_description_says(name):
    rows = {}
    for split in ("train", "validation", "test"):
        dataset, info = datasets.load(name, split)
        x, _ = datasets.load_arrays(name, split)
        assert x.shape == (info.size, *info.event_shape)
        assert int(dataset.cardinality()) == info.size
        assert (info.name, info.split) == (name, split)
        if info.levels:
            assert x.dtype == "uint8"
            assert x.max() == info.levels - 1
        assert np.isfinite(x).all()
        rows[split] = {row.tobytes() for row in x}
    assert not rows["train"] & rows["test"] or name == "digits"
    np.testing.assert_array_equal(x, datasets.load_arrays(name, "test")[0])


def test_digits_partition_all_rows_and_keep_their_labels():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    parts = [datasets.load_arrays("digits", s, True)[0] for s in ("train", "validation", "test")]
    x = np.concatenate([part[0] for part in parts]).reshape(-1, 64)
    labels = np.concatenate([part[1] for part in parts]).argmax(axis=1)
    got = np.column_stack([x, labels])
    wanted = np.column_stack([bunch.images.reshape(-1, 64), bunch.target])
    np.testing.assert_array_equal(np.unique(got, axis=0), np.unique(wanted, axis=0))
    assert len(got) == len(wanted) == 1797


def test_conditional_datasets_give_one_hot_labels():
    dataset, info = datasets.load("digits", "test", condition=True)
    batch = next(iter(dataset.batch(7)))
    assert set(batch) == {"x", "condition"}
    assert batch["condition"].shape == (7, info.num_classes)
    np.testing.assert_array_equal(batch["condition"].numpy().sum(axis=1), 1)
    with pytest.raises(ValueError, match="no labels"):
        datasets.load("moons", condition=True)


def _best(name, x):
    """Mean log-density of samples under the toy's own closed form."""
    if name == "checkerboard":
        return -np.log(32.0)
    if name == "8gaussians":
        angles = np.arange(8) * np.pi / 4
        centres = 4 * np.stack([np.cos(angles), np.sin(angles)], 1) / 1.414
        components = scipy.stats.norm.logpdf(x[:, None], centres, 0.5 / 1.414).sum(-1)
        return scipy.special.logsumexp(components - np.log(8), axis=1).mean()
    radii, scale = ([0.5, 1.0], 3) if name == "circles" else ([0.25, 0.5, 0.75, 1.0], 3)
    noise = 0.24 if name == "circles" else 0.08
    r = np.linalg.norm(x, axis=1)[:, None]
    mean = scale * np.asarray(radii)
    # A circle blurred by a normal: a Bessel factor from the angle.
    kernel = scipy.special.ive(0, r * mean / noise**2) * np.exp(-((r - mean) ** 2) / 2 / noise**2)
    return np.log(kernel.mean(axis=1) / (2 * np.pi * noise**2)).mean()


@pytest.mark.parametrize(
    ("name", "best"),
    [("8gaussians", -2.832), ("checkerboard", -3.466), ("rings", -2.623), ("circles", -3.268)],
)
def test_toys_have_the_published_best_log_likelihood(name, best):
    x = datasets.sample_toy(name, 200_000, 0).astype("float64")
    assert _best(name, x) == pytest.approx(best, abs=0.01)
    if name == "checkerboard":
        cells = np.floor(x / 2).astype(int)
        assert (np.abs(x) <= 4).all()
        assert len(np.unique(cells.sum(axis=1) % 2)) == 1


def test_a_toy_has_as_many_rows_as_asked():
    x, _ = datasets.load_arrays("moons", "train", train_rows=123_456)
    assert x.shape == (123_456, 2)
    assert len(datasets.load_arrays("moons", "test", train_rows=7)[0]) == 50_000
    with pytest.raises(ValueError, match="train_rows must be a positive integer"):
        datasets.load_arrays("moons", "train", train_rows=0)
    with pytest.raises(ValueError, match="digits has 1437 rows"):
        datasets.load_arrays("digits", "train", train_rows=5)


@pytest.mark.parametrize("name", GENERATORS)
def test_toys_repeat_by_seed(name):
    np.testing.assert_array_equal(*(datasets.sample_toy(name, 10, 3) for _ in range(2)))
    assert np.abs(datasets.sample_toy(name, 10, 3) - datasets.sample_toy(name, 10, 4)).max() > 0


def test_unknown_names_and_splits_name_the_nearest():
    with pytest.raises(ValueError, match="no dataset 'moon'; did you mean moons"):
        datasets.load("moon")
    with pytest.raises(ValueError, match="no dataset 'minibone'; did you mean miniboone"):
        datasets.load("minibone")
    with pytest.raises(ValueError, match=r"splits \['train', 'validation', 'test'\].*'dev'"):
        datasets.load("digits", "dev")
    with pytest.raises(ValueError, match="Received: 'spiral'"):
        datasets.sample_toy("spiral", 3, 0)


@needs_shared
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_prepared_tfds_images_come_in_file_order_without_download(name):
    sizes = {"train": 50_000, "validation": 10_000, "test": 10_000, "train[:100]": 100}
    for split, size in sizes.items():
        dataset, info = datasets.load(name, split, data_dir=str(SHARED_TFDS))
        assert info.size == size
        assert (info.event_shape, info.levels, info.num_classes) == ((28, 28, 1), 256, 10)
        assert next(iter(dataset.batch(2))).shape == (2, 28, 28, 1)
    if name == "mnist":
        rows, _ = datasets.load("mnist", "train", True, data_dir=str(SHARED_TFDS))
        labels = [int(row["condition"].numpy().argmax()) for row in rows.take(10)]
        assert labels == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # MNIST's own order


@needs_shared
def test_tfds_images_come_in_fewer_bits():
    whole, _ = datasets.load_arrays("mnist", "train[:20]", data_dir=str(SHARED_TFDS))
    x, info = datasets.load_arrays("mnist", "train[:20]", data_dir=str(SHARED_TFDS), bits=5)
    np.testing.assert_array_equal(x, whole // 8)
    assert info.levels == 32
    with pytest.raises(ValueError, match=r"from 1 to 8. Received: 9"):
        datasets.load("mnist", data_dir=str(SHARED_TFDS), bits=9)
    with pytest.raises(ValueError, match="no option 'bit' among"):
        datasets.load("mnist", data_dir=str(SHARED_TFDS), bit=5)


@pytest.mark.slow  # reads the variable at import, in a new process; quick tests give `data_dir`
@needs_shared
def test_tfds_data_dir_is_honoured(monkeypatch):
    import subprocess
    import sys

    code = "from tfflows import datasets; print(datasets.load('mnist', 'test')[1].size)"
    environment = {**os.environ, "TFDS_DATA_DIR": str(SHARED_TFDS)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "10000"


def test_data_that_are_nowhere_to_be_had_say_where_they_were_looked_for(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def offline(self, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    with pytest.raises(OSError, match="TFDS_DATA_DIR"):
        datasets.load("mnist", data_dir=str(tmp_path))


@needs_shared
def test_unknown_tfds_splits_are_refused():
    with pytest.raises(ValueError, match=r"\['test', 'train'\].*'dev'"):
        datasets.load("mnist", "dev", data_dir=str(SHARED_TFDS))
