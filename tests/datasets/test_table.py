"""Tables from files: values, streaming in bounded memory, and what each bad input is told."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from tfflows.datasets import stream_table

X = np.asarray([[1.5, -2, 3e-3], [0, 7, 1e5], [4, 5, 6]], "float32")


def write(folder, text, name="data.csv"):
    path = folder / name
    path.write_text(text)
    return path


def read(path, **options):
    return np.concatenate(list(stream_table(path, **options)))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The same rows, a few megabytes, in every format."""
    folder = tmp_path_factory.mktemp("large")
    x = np.random.default_rng(0).normal(size=(150_000, 11)).astype("float32")
    names = [f"c{i}" for i in range(11)]
    np.save(folder / "data.npy", x)
    np.save(folder / "fortran.npy", np.asfortranarray(x.astype("float64")))
    np.savez(folder / "data.npz", x=x)
    np.savez_compressed(folder / "small.npz", x=x, other=np.arange(3))
    table = pa.table(dict(zip(names, x.T, strict=True)))
    pa.parquet.write_table(table, folder / "data.parquet", row_group_size=10_000)
    pa.csv.write_csv(table, folder / "data.csv")
    return folder, x


@pytest.mark.parametrize(
    "name", ["data.csv", "data.parquet", "data.npy", "fortran.npy", "data.npz", "small.npz"]
)
def test_streams_equal_the_rows_in_full_batches_and_bounded_memory(large, name):
    folder, x = large
    options = {"array": "x"} if name == "small.npz" else {}
    start = 0
    tracemalloc.start()
    for batch in stream_table(folder / name, batch_size=4001, **options):
        assert batch.dtype == "float32"
        assert len(batch) == min(4001, len(x) - start)
        np.testing.assert_array_equal(batch, x[start : start + len(batch)])
        start += len(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert start == len(x)
    # NumPy's arrays are traced, the mapped pages and pyarrow's readahead are not.
    assert peak < 20e6 if name != "data.csv" else peak < 30e6


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_columns_are_chosen_by_name_or_index_in_the_order_wanted(large, name):
    folder, x = large
    got = read(folder / name, columns=["c7", 2, -1])
    np.testing.assert_array_equal(got, x[:, [7, 2, 10]])


def test_columns_of_arrays_are_chosen_by_index(large):
    folder, x = large
    np.testing.assert_array_equal(read(folder / "data.npy", columns=[3, 1]), x[:, [3, 1]])
    np.testing.assert_array_equal(read(folder / "data.npz", columns=["3"]), x[:, [3]])


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "1,2\n3,4\n",
        "\ufeffa , b\r\n 1, 2\r\n\r\n3 ,4",
        '"a","b, c"\n"1","2"\n"3","4"\n',
        "1,b\nNA,2\n3,4\n".replace("NA", "1"),  # a word above a number is a header
        "a,b\n1e0,+2.\n3,4 \n",
    ],
)
def test_csv_dialects(tmp_path, text):
    np.testing.assert_array_equal(read(write(tmp_path, text)), [[1, 2], [3, 4]])


def test_a_header_of_numbers_is_asked_for(tmp_path):
    path = write(tmp_path, "0,1\n3,4\n")
    np.testing.assert_array_equal(read(path), [[0, 1], [3, 4]])
    np.testing.assert_array_equal(read(path, header=True), [[3, 4]])
    with pytest.raises(ValueError, match=r"header=True or header=False.*\['5.1', 'setosa'\]"):
        read(write(tmp_path, "5.1,setosa\n4.9,setosa\n"))
    got = read(write(tmp_path, "5.1,setosa\n4.9,setosa\n"), header=False, columns=[0])
    np.testing.assert_array_equal(got, np.float32([[5.1], [4.9]]))


BAD_CSV = {
    "ragged: too few": ("a,b\n1,2\n3\n", r"data.csv, line 3: .* 2 values.*1 values, '3'"),
    "ragged: too many": ("a,b\n1,2\n3,4,5\n", r"line 3: expected 2 values.*3 values, '3,4,5'"),
    "word": ("a,b\n1,2\n\n3,x\n", r"line 4, column 'b': expected a number. Received: 'x'"),
    "after a quoted line break": ('a,b\n"1\n",2\n3,x\n', "line 4, column 'b'"),
    "underscore": ("a,b\n1,1_0\n2,3\n", "line 2, column 'b': expected a number. Received: '1_0'"),
    "other separator": ("a;b\n1;2\n", "column 'a;b'.*Received: '1;2'"),
    "missing": (
        "a,b\n1,2\n,3\n4,NA\n NA,nan\n5,?\n",
        "5 missing values in 4 rows, the first in line 3, column 'a'; missing='drop'",
    ),
    "missing in one column": ("a\n1\n\n3\n", "1 missing values in 1 rows, the first in line 3"),
    "infinite": ("a,b\n1,2\n2,inf\n", "line 3, column 'b': infinite"),
    "beyond float32": ("a,b\n1,1e39\n", "line 2, column 'b': infinite, or too large"),
    "empty": ("", "is empty"),
    "header alone": ("a,b\n", "has no rows"),
    "names twice": ("a,a\n1,2\n", r"same name: \['a'\]"),
    "NUL": ("a,b\n1,2\x00\n", "data.csv"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_csv_is_refused_with_its_place(tmp_path, case):
    text, message = BAD_CSV[case]
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path, text))


def test_a_bad_value_far_into_a_file_is_placed_and_the_rows_before_it_come(tmp_path):
    lines = ["a,b", *(f"{i},{i / 2}" for i in range(300_000))]
    lines[250_001] = "7,oops"
    path = write(tmp_path, "\n".join(lines))
    batches = stream_table(path, batch_size=1000)
    for start in range(0, 200_000, 1000):
        np.testing.assert_array_equal(next(batches)[:, 0], np.arange(start, start + 1000))
    with pytest.raises(ValueError, match=r"line 250002, column 'b'.*'oops'"):
        list(batches)


def test_what_pyarrow_refuses_is_read_by_hand_and_nothing_comes_twice(tmp_path):
    lines = ["a,b", *(f"{i},{i / 2}" for i in range(300_000))]
    lines[250_001] = "7, NA"
    with pytest.warns(UserWarning, match=r"left out 1 of 300000 rows"):
        got = read(write(tmp_path, "\n".join(lines)), missing="drop")
    np.testing.assert_array_equal(got[:, 0], np.delete(np.arange(300_000), 250_000))


def test_missing_values_are_dropped_when_asked_in_every_format(tmp_path):
    x = X.astype("float64")
    x = np.concatenate([x, x, [[np.nan, 1, 2]], x + 1])
    np.save(tmp_path / "data.npy", x)
    np.savez(tmp_path / "data.npz", x=x)
    columns = {
        "a": pa.array([None if v != v else v for v in x[:, 0]]),
        "b": pa.array(x[:, 1].astype(int)),
        "c": x[:, 2],
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "data.parquet")
    for name in ("data.npy", "data.npz", "data.parquet"):
        with pytest.raises(ValueError, match=r"1 missing values in 1 rows, the first in row 7, co"):
            read(tmp_path / name)
        with pytest.warns(UserWarning, match=r"left out 1 of 10 rows"):
            got = read(tmp_path / name, missing="drop", batch_size=4)
        np.testing.assert_array_equal(got, np.delete(x, 6, axis=0).astype("float32"))
    with pytest.raises(ValueError, match=r"no rows without missing"):
        read(write(tmp_path, "a,b\n1,\n"), missing="drop")
    with pytest.raises(ValueError, match=r"\['refuse', 'drop', 'nan'\]. Received: 'keep'"):
        read(tmp_path / "data.npy", missing="keep")


def test_parquet_types(tmp_path):
    table = pa.table({"i": [1, 2], "t": [True, False], "s": ["x", "y"], "l": [[1], [2]]})
    path = tmp_path / "data.parquet"
    pa.parquet.write_table(table, path)
    np.testing.assert_array_equal(read(path, columns=["t", "i"]), [[1, 1], [0, 2]])
    with pytest.raises(
        ValueError, match=r"Received: 's' of string, 'l' of list.*exclude=\['s', 'l'\]"
    ):
        read(path)
    with pytest.raises(ValueError, match=r"expected columns of numbers. Received: 'l' of list"):
        read(path, columns=["l"])
    with pytest.raises(ValueError, match=r"not a Parquet file"):
        read(write(tmp_path, "a,b\n1,2\n", "text.parquet"))


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_no_pickle_is_ever_loaded(tmp_path):
    bomb = np.asarray([_Bomb(), _Bomb()], object)
    np.save(tmp_path / "objects.npy", bomb)
    np.savez(tmp_path / "objects.npz", x=bomb)
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(_Bomb()))
    for name in ("objects.npy", "objects.npz"):
        with pytest.raises(ValueError, match=r"Python objects, as images of mixed sizes"):
            read(tmp_path / name)
    with pytest.raises(ValueError, match=r"plain.npy is not a NumPy array"):
        read(tmp_path / "plain.npy")


def test_arrays_of_further_axes_keep_them_and_others_are_refused(tmp_path):
    images = np.arange(24, dtype="uint8").reshape(2, 3, 4)
    np.save(tmp_path / "images.npy", images)
    np.testing.assert_array_equal(read(tmp_path / "images.npy"), images)
    with pytest.raises(ValueError, match=r"columns= requires rows.*\(2, 3, 4\)"):
        read(tmp_path / "images.npy", columns=[0])
    np.save(tmp_path / "words.npy", np.asarray(["a"]))
    with pytest.raises(ValueError, match=r"to hold numbers. Received: <U1"):
        read(tmp_path / "words.npy")
    np.save(tmp_path / "number.npy", 3.0)
    with pytest.raises(ValueError, match=r"single number"):
        read(tmp_path / "number.npy")
    for shape in ((0, 3), (3, 0), (0, 2, 2)):
        np.save(tmp_path / "empty.npy", np.empty(shape))
        with pytest.raises(ValueError, match=r"is empty. Received the shape \[\d, \d"):
            read(tmp_path / "empty.npy")
    np.save(tmp_path / "vector.npy", np.arange(3.0))
    assert read(tmp_path / "vector.npy").shape == (3, 1)


def test_cut_off_files_are_refused(tmp_path):
    np.save(tmp_path / "data.npy", np.ones((1000, 3)))
    whole = (tmp_path / "data.npy").read_bytes()
    (tmp_path / "data.npy").write_bytes(whole[:-9000])
    with pytest.raises(
        ValueError, match=r"data.npy is damaged: float64 of shape \(1000, 3\) are 24,000"
    ):
        read(tmp_path / "data.npy")
    (tmp_path / "data.npz").write_bytes(whole)
    with pytest.raises(ValueError, match=r"data.npz is not an .npz file"):
        read(tmp_path / "data.npz")
    np.savez_compressed(tmp_path / "flipped.npz", x=np.random.default_rng(0).normal(size=(999, 3)))
    damaged = bytearray((tmp_path / "flipped.npz").read_bytes())
    damaged[5000:5100] = bytes(100)
    (tmp_path / "flipped.npz").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"flipped.npz, array 'x', is damaged"):
        read(tmp_path / "flipped.npz")


def test_wrong_choices_name_the_nearest(tmp_path):
    path = write(tmp_path, "alpha,beta\n1,2\n")
    with pytest.raises(ValueError, match=r"no column 'alhpa' among its 2: .* did you mean alpha"):
        read(path, columns=["alhpa"])
    with pytest.raises(ValueError, match=r"no column 2 among"):
        read(path, columns=[2])
    with pytest.raises(ValueError, match=r"every column once"):
        read(path, columns=["alpha", 0])
    with pytest.raises(ValueError, match=r"a list of names or indices. Received: 'alpha'"):
        read(path, columns="alpha")
    with pytest.raises(FileNotFoundError, match=r"no file .*dta.csv; did you mean data.csv"):
        read(tmp_path / "dta.csv")
    with pytest.raises(ValueError, match=r"suffixes \['.csv', '.parquet', '.npy', '.npz'\]"):
        read(tmp_path / "data.xlsx")
    np.savez(tmp_path / "two.npz", first=X, second=X)
    with pytest.raises(ValueError, match=r"the arrays \['first', 'second'\]: choose one by array"):
        read(tmp_path / "two.npz")
    with pytest.raises(ValueError, match=r"no array 'frst' among .* did you mean first"):
        read(tmp_path / "two.npz", array="frst")
    with pytest.raises(ValueError, match=r"batch_size must be a positive integer. Received: 0"):
        read(path, batch_size=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read(tmp_path / "two.npz", array="first"), X)
