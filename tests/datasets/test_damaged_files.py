"""Damaged and hostile files: one line naming file and place, no memory that is not there."""

import io
import struct
import tracemalloc
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tfflows import datasets

HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }\n"


def every_reader(path, **options):
    """The error of each way to read a file."""
    stream = {key: value for key, value in options.items() if key != "label"}
    for read in (
        lambda: datasets.load(path, "all", **options),
        lambda: datasets.load_arrays(path, "all", **options),
        lambda: datasets.load_rows(path, "all", **options),
        lambda: list(datasets.stream_table(path, **stream)),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  each file's message is matched
            read()
        yield str(caught.value)


def npy(path, header, data=bytes(240)):
    header = header.encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)
    return path


NPY = {
    "cut header": (HEADER[:30], "is not a NumPy array"),
    "deep header": ("[" * 200 + "]" * 200 + "\n", "is not a NumPy array"),
    "deep expression": ("-" * 5000 + "1\n", "is not a NumPy array"),
    "2**64 rows": (HEADER % "18446744073709551616, 1", "and 240 are there"),
    "10**12 columns": (HEADER % "10, 1000000000000", "80,000,000,000,000 bytes, and 240"),
    "negative": (HEADER % "10, -3", r"damaged: it has the shape \(10, -3\)"),
    "both negative": (HEADER % "-10, -3", r"the shape \(-10, -3\)"),
    "booleans": (HEADER % "True, 3", r"the shape \(True, 3\)"),
    "fractions": (HEADER % "10, 3.0", "is not a NumPy array"),
    "no columns": (HEADER % "0, 9223372036854775807", "at most 4,194,304 numbers per row"),
    "one row too many": (HEADER % "11, 3", r"\(11, 3\) are 264 bytes, and 240 are there"),
}


@pytest.mark.parametrize("case", NPY)
def test_headers_of_npy_files_are_checked_against_the_file(tmp_path, case):
    header, message = NPY[case]
    path = npy(tmp_path / "x.npy", header)
    tracemalloc.start()
    for text in every_reader(path):
        assert str(path) in text
        assert "\n" not in text
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    with pytest.raises(ValueError, match=message):
        datasets.load(path)


def npz(method=zipfile.ZIP_DEFLATED):
    file, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.random.default_rng(0).normal(size=(200, 3)))
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("x.npy", array.getvalue())
    return bytearray(file.getvalue())


def encrypted(content):
    content[content.find(b"PK\1\2") + 8] |= 1
    content[content.find(b"PK\3\4") + 6] |= 1


def unknown_method(content):
    content[content.find(b"PK\1\2") + 10] = 99


def bad_local_header(content):
    content[2] = 9


def broken_data(content):
    content[40:60] = bytes(byte ^ 255 for byte in content[40:60])


def wrong_sum(content):
    content[-400] ^= 255
    content[400] ^= 255


def promised_terabytes(content):
    place = content.find(b"PK\1\2")
    content[place + 24 : place + 28] = struct.pack("<I", 2**32 - 2)


@pytest.mark.parametrize(
    ("damage", "method"),
    [
        (encrypted, 8),
        (unknown_method, 8),
        (bad_local_header, 8),
        (broken_data, 8),
        (broken_data, 14),
        (wrong_sum, 0),
        (promised_terabytes, 8),
    ],
)
def test_damaged_npz_files_are_refused_in_one_line(tmp_path, damage, method):
    content = npz(method)
    damage(content)
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    for text in every_reader(path):
        assert text.startswith(f"{path}, array 'x', is ")
        assert "\n" not in text


def test_labels_of_a_npz_are_checked_like_its_data(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(20, 2)), y=np.arange(20) % 3)
    y = io.BytesIO()
    np.save(y, np.arange(20) % 3)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("y.npy", y.getvalue()[:-8])
        np.save(y, np.random.default_rng(0).normal(size=(20, 2)))
        archive.writestr("x.npy", y.getvalue()[-128 - 320 :])
    with pytest.raises(ValueError, match=r"x.npz, array 'y', is damaged: .*152 are there"):
        datasets.load(path, label="y")
    np.savez(path, x=np.eye(3), y=np.asarray([None, 1, "a"], object))
    with pytest.raises(ValueError, match=r"array 'y', holds Python objects"):
        datasets.load(path, label="y")


def test_damaged_parquet_files_are_refused_in_one_line(tmp_path):
    whole = tmp_path / "whole.parquet"
    pa.parquet.write_table(pa.table({"a": np.arange(1000) * 1.5, "b": np.arange(1000)}), whole)
    content, path, errors = whole.read_bytes(), tmp_path / "x.parquet", []
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 30):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            datasets.load_arrays(path, "all")
        except ValueError as error:
            errors.append(str(error))
    assert len(errors) > 30
    assert all(str(path) in text and "\n" not in text for text in errors)


def test_parquet_files_without_columns_or_with_two_of_a_name(tmp_path):
    path = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table({"a": [1.0]}).select([]), path)
    for text in every_reader(path):
        assert text.endswith("x.parquet has no columns")
    pa.parquet.write_table(pa.table([[1.0], [2.0], [3.0]], names=["a", "b", "a"]), path)
    for text in every_reader(path):
        assert text.endswith("several columns of the same name: ['a']")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_a_table_of_its_label_alone(tmp_path, suffix):
    path, label = tmp_path / f"x.{suffix}", "k"
    if suffix == "csv":
        path.write_text("k\n" + "a\nb\n" * 20)
    elif suffix == "parquet":
        pa.parquet.write_table(pa.table({"k": ["a", "b"] * 20}), path)
    else:
        np.save(path, np.arange(40) % 2)
        label = 0
    with pytest.raises(ValueError, match=rf"no columns of numbers beside \['{label}'\]"):
        datasets.load_rows(path, label=label)


def test_csv_files_of_strange_lines(tmp_path):
    path = tmp_path / "x.csv"
    for content in (
        b"\n\n",
        b"\na,b\n1,2\n",
        b"\xff\xfe\x00",
        b'a,b\n1,"',
        b"a\n" + b"9" * 200_000,
    ):
        path.write_bytes(content)
        for text in every_reader(path):
            assert str(path) in text
            assert len(text) < 600
    path.write_text(",".join(["a"] * 200_000) + "\n1\n")
    with pytest.raises(ValueError, match=r"several columns of the same name: \['a'\]"):
        datasets.load(path)


def test_hdf5_files_that_declare_gigabytes(tmp_path):
    folder = tmp_path / "BSDS300"
    folder.mkdir()
    with h5py.File(folder / "BSDS300.hdf5", "w") as file:
        for split in ("train", "validation", "test"):
            file.create_dataset(split, (10**9, 63), "float32", chunks=(64, 63))
    with pytest.raises(ValueError, match=r"BSDS300.hdf5, train, is damaged: it promises 252,000"):
        datasets.load_rows("bsds300", data_dir=str(tmp_path))
    (folder / "BSDS300.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    with pytest.raises(ValueError, match=r"BSDS300.hdf5 is not an HDF5 file"):
        datasets.load_rows("bsds300", data_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"columns": 5}, "option columns must be a list .* or null. Received: 5"),
        ({"columns": [True]}, "option columns must be a list .*Received: \\[True\\]"),
        ({"validation": None}, "option validation must be a finite number or .*Received: None"),
        ({"validation": [1]}, "option validation must be .*Received: \\[1\\]"),
        ({"test": float("nan")}, "option test must be a finite number.*Received: nan"),
        ({"seed": "abc"}, "option seed must be an integer. Received: 'abc'"),
        ({"seed": 1.5}, "option seed must be an integer. Received: 1.5"),
        ({"seed": -1}, "seed must not be negative. Received: -1"),
        ({"header": "no"}, "option header must be true or false or null. Received: 'no'"),
        ({"missing": ["drop"]}, "option missing must be a word"),
        ({"label": True}, "option label must be .*Received: True"),
        ({"name": "x"}, "no option 'name' among"),
        ({"split": "test"}, "no option 'split' among"),
        ({"data_dir": "x"}, "no option 'data_dir' among"),
        ({"condition": True}, "option condition must be a list.*Received: True"),
    ],
)
def test_options_of_the_wrong_type_are_refused_by_name(tmp_path, option, message):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(50, 3)))
    with pytest.raises(ValueError, match=message):
        datasets.load_rows_by_options(str(path), "train", False, None, option)


def test_numbers_and_sequences_of_numpy_are_options(tmp_path):
    path = tmp_path / "x.npy"
    x = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    np.save(path, x)
    options = {"columns": np.asarray([2, 0]), "seed": np.int64(1), "test": np.float32(0.5)}
    rows, info = datasets.load_rows(path, "all", **options)
    np.testing.assert_array_equal(np.asarray(rows.x), x[:, [2, 0]])
    assert info.columns == ("2", "0")


def test_a_parquet_file_named_csv_and_a_column_of_truth_values_are_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"PAR1" + bytes(20))
    with pytest.raises(ValueError, match=r"a\.csv is not a CSV file: it begins as a Parquet file"):
        datasets.load_arrays(str(tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_text("x,y\n" + "1.5,True\n2.5,False\n" * 9)
    with pytest.raises(ValueError, match=r"'y': expected a number.*write True and False as 1 and"):
        datasets.load_arrays(str(tmp_path / "b.csv"))
