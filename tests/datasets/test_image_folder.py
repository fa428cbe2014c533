"""Folders of pictures: values, classes, splits, and what damaged and huge ones are told."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfflows import datasets


@pytest.fixture
def pictures(tmp_path):
    """60 pictures in two classes, and their pixels in the order of their paths."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 5, 4, 3), "uint8")
    for i, image in enumerate(pixels):
        folder = tmp_path / "set" / ("ant" if i < 20 else "bee")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:02}.png")
    (tmp_path / "set" / "notes.txt").write_text("not a picture")
    return tmp_path / "set", pixels


def test_classes_are_subfolders_and_splits_are_those_of_files(pictures):
    folder, pixels = pictures
    (x, one_hot), info = datasets.load_arrays(str(folder), "all", condition=True)
    np.testing.assert_array_equal(x, pixels)
    np.testing.assert_array_equal(one_hot.argmax(1), np.arange(60) >= 20)
    assert (info.event_shape, info.levels, info.classes) == ((5, 4, 3), 256, ("ant", "bee"))
    order = np.random.default_rng(0).permutation(60)
    for split, rows in (("train", order[12:]), ("validation", order[:6]), ("test", order[6:12])):
        x, _ = datasets.load_arrays(str(folder), split)
        np.testing.assert_array_equal(x, pixels[np.sort(rows)])
    stream, _ = datasets.load("set/", "test", condition=True, data_dir=str(folder.parent))
    batch = next(stream.batch(60).as_numpy_iterator())
    np.testing.assert_array_equal(batch["x"], pixels[np.sort(order[6:12])])
    assert batch["x"].dtype == "uint8"


def test_a_flat_folder_has_no_classes(pictures):
    folder, pixels = pictures
    (folder / "more").mkdir()  # without pictures
    x, info = datasets.load_arrays(str(folder / "ant"), "all")
    np.testing.assert_array_equal(x, pixels[:20])
    assert info.num_classes is None
    with pytest.raises(ValueError, match=r"no labels to condition on"):
        datasets.load_rows(str(folder / "ant"), condition=True)
    with pytest.raises(ValueError, match=r"more has no files .png, .jpg, .jpeg"):
        datasets.load_rows(str(folder / "more"))
    Image.new("L", (4, 5)).save(folder / "stray.png")
    with pytest.raises(ValueError, match=r"of its own and in subfolders.*stray.png"):
        datasets.load_rows(str(folder))


def test_size_and_grayscale(pictures):
    folder, pixels = pictures
    x, info = datasets.load_arrays(str(folder), "all", grayscale=True)
    assert info.event_shape == (5, 4, 1)
    grey = pixels @ np.asarray([0.299, 0.587, 0.114])
    assert np.abs(x[..., 0] - grey).max() < 1
    Image.new("RGB", (8, 10), (7, 8, 9)).save(folder / "bee" / "99.jpg", quality=100)
    message = r"ant/00.png of \[5, 4\], .*bee/99.jpg of \[10, 8\]"
    with pytest.raises(ValueError, match=message):
        datasets.load(str(folder))
    x, info = datasets.load_arrays(str(folder), "all", size=[5, 4])
    np.testing.assert_array_equal(x[:60], pixels)
    assert np.abs(x[60].astype(int) - [7, 8, 9]).max() <= 2
    with pytest.raises(ValueError, match=r"size must be \[height, width\]. Received: \[5\]"):
        datasets.load(str(folder), size=[5])


def bomb(path, side):
    """A .png of a few bytes that declares side x side pixels."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


def test_damaged_and_huge_pictures_are_refused_by_name(pictures):
    folder, _ = pictures
    path = folder / "bee" / "30.png"
    content = path.read_bytes()
    for damaged in (b"", content[:40], content[:-30], b"GIF89a" + bytes(30)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"bee/30.png is ") as caught:
            datasets.load_rows(str(folder), "all")
        assert "\n" not in str(caught.value)
    for side in (10_000, 100_000):
        bomb(path, side)
        for options in ({}, {"size": [5, 4]}):
            with pytest.raises(ValueError, match=r"30.png is not a picture .*pixels"):
                datasets.load_rows(str(folder), "all", **options)
    Image.fromarray(np.zeros((5, 4), "uint16")).save(path)
    with pytest.raises(ValueError, match=r"30.png to have at most 8 bits .*mode 'I;16'"):
        datasets.load_rows(str(folder), "all")
    for other in folder.glob("*/*.png"):
        bomb(other, 9_000)
    with pytest.raises(ValueError, match=r"is damaged: it promises"):
        datasets.load_rows(str(folder), "all")


def test_a_name_without_a_slash_is_no_folder(pictures, monkeypatch):
    """A folder called mnist beside a recipe must not stand for the data set."""
    from tfflows.datasets.registry import find_loader

    folder, _ = pictures
    monkeypatch.chdir(folder.parent)
    folder.rename(folder.parent / "mnist")
    assert find_loader("mnist") is None
    assert find_loader("./mnist").__name__ == "load_image_folder"
    version = folder.parent / "mnist" / "3.0.1"
    version.mkdir()
    (version / "dataset_info.json").write_text("{}")
    assert find_loader("mnist/3.0.1") is None
