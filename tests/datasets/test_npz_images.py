"""Static binarised MNIST and Frey faces from .npz files, real and synthetic."""

from pathlib import Path

import numpy as np
import pytest

from tfflows import datasets

SHARED = Path(__file__).parents[3] / "shared" / "data"
SPLITS = ("train", "validation", "test")
needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the real files lie beside the developers' checkout only"
)


@needs_shared
def test_real_binarised_mnist():
    parts = {s: datasets.load_arrays("binarized_mnist", s, data_dir=str(SHARED)) for s in SPLITS}
    assert [info.size for _, info in parts.values()] == [50_000, 10_000, 10_000]
    for x, info in parts.values():
        assert (info.levels, info.event_shape, x.dtype) == (2, (28, 28, 1), "uint8")
        assert x.max() == 1
        assert 0.12 < x.mean() < 0.14  # MNIST's mean intensity is 0.1307
        assert x[:, 4:24, 4:24].mean() > 20 * x[:, [0, 1, -2, -1]].mean()  # the margin


@needs_shared
def test_real_frey_faces_are_partitioned_by_the_seed():
    parts = [datasets.load_arrays("frey_faces", s, data_dir=str(SHARED)) for s in SPLITS]
    assert [len(x) for x, _ in parts] == [1565, 200, 200]
    assert {(info.levels, info.event_shape) for _, info in parts} == {(256, (28, 20, 1))}
    x = np.concatenate([x for x, _ in parts])
    original = np.load(SHARED / "frey_faces.npz")["x"]
    np.random.seed(123)  # as Sylvester flows do
    np.random.shuffle(original)
    np.testing.assert_array_equal(x[..., 0], original)
    other, _ = datasets.load_arrays("frey_faces", "test", data_dir=str(SHARED), seed=321)
    assert (other != parts[2][0]).any()


def test_packed_rows_are_unpacked_in_order(tmp_path):
    bits = {k: np.random.default_rng(i).integers(0, 2, (7, 784)) for i, k in enumerate(SPLITS)}
    keys = zip(("x_train", "x_valid", "x_test"), bits.values(), strict=True)
    np.savez(tmp_path / "binarized_mnist.npz", **{k: np.packbits(v, axis=1) for k, v in keys})
    for split in SPLITS:
        x, _ = datasets.load_arrays("binarized_mnist", split, data_dir=str(tmp_path))
        np.testing.assert_array_equal(x, bits[split].reshape(7, 28, 28, 1))
        stream, info = datasets.load("binarized_mnist", split, data_dir=str(tmp_path))
        assert (info.size, info.levels) == (7, 2)
        np.testing.assert_array_equal(list(stream.as_numpy_iterator()), x)


@pytest.mark.parametrize("name", ["binarized_mnist", "frey_faces"])
def test_wrong_files_are_refused(tmp_path, name):
    with pytest.raises(OSError, match=rf"folder of {name}.npz as data_dir"):
        datasets.load(name)
    (tmp_path / "other").touch()
    with pytest.raises(OSError, match=rf"{name}.npz. There is: \['other'\]"):
        datasets.load(name, data_dir=str(tmp_path))
    key = "x" if name == "frey_faces" else "x_train"
    np.savez(tmp_path / f"{name}.npz", **{key: np.zeros((3, 5))})
    with pytest.raises(ValueError, match=r"expected uint8 \[n, .* Received: float64, \[3, 5\]"):
        datasets.load(name, data_dir=str(tmp_path))
    np.savez(tmp_path / f"{name}.npz", faces=np.zeros((3, 5)))
    with pytest.raises(ValueError, match=rf"no array '{key}' among \['faces'\]"):
        datasets.load(name, data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="Received: 'dev'"):
        datasets.load(name, "dev", data_dir=str(tmp_path))


def test_frey_faces_are_1965(tmp_path):
    np.savez(tmp_path / "frey_faces.npz", x=np.zeros((3, 28, 20), "uint8"))
    with pytest.raises(ValueError, match=r"expected 1965 images. Received: 3"):
        datasets.load("frey_faces", data_dir=str(tmp_path))
