"""A user's own files by their path: splits, labels, images, memory, and what is refused."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tfflows import datasets

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """One table with classes in every format: a folder, x and the classes' names."""
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(503, 3)).astype("float32")
    words = rng.choice(["dog", "cat", "eel"], 503)
    columns = {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "kind": words}
    pa.parquet.write_table(pa.table(columns), folder / "data.parquet")
    lines = [f"{a:.9g},{b:.9g},{c:.9g},{k}" for (a, b, c), k in zip(x, words, strict=True)]
    (folder / "data.csv").write_text("\n".join(["a,b,c,kind", *lines]))
    np.save(folder / "data.npy", x)
    np.savez(folder / "data.npz", x=x, kind=words)
    return folder, x, words


def arrays(path, split="all", **options):
    return datasets.load_arrays(str(path), split, **options)[0]


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.npy", "data.npz"])
def test_splits_are_seeded_disjoint_complete_and_the_same_in_every_format(table, name):
    folder, x, _ = table
    options = {"columns": [0, 1, 2]} if name[-3:] in ("csv", "uet") else {}
    options |= {"array": "x"} if name == "data.npz" else {}
    parts = [arrays(folder / name, split, **options) for split in SPLITS]
    assert [len(part) for part in parts] == [403, 50, 50]
    order = np.random.default_rng(0).permutation(503)
    for part, rows in zip(parts, (order[100:], order[:50], order[50:100]), strict=True):
        assert part.dtype == "float32"
        np.testing.assert_array_equal(part, x[np.sort(rows)])
    again = arrays(folder / name, "test", seed=1, test=0.2, validation=0, **options)
    rows = np.random.default_rng(1).permutation(503)[:100]
    np.testing.assert_array_equal(again, x[np.sort(rows)])
    np.testing.assert_array_equal(arrays(folder / name, **options), x)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.npz"])
def test_labels_become_one_hot_in_sorted_order(table, name):
    folder, x, words = table
    (got, one_hot), info = datasets.load_arrays(str(folder / name), "all", True, label="kind")
    assert info.classes == ("cat", "dog", "eel")
    assert info.num_classes == 3
    assert info.event_shape == (3,)
    np.testing.assert_array_equal(got, x)
    assert one_hot.dtype == "float32"
    np.testing.assert_array_equal(np.asarray(info.classes)[one_hot.argmax(1)], words)
    stream, _ = datasets.load(str(folder / name), "test", True, label="kind")
    (x_test, one_hot), _ = datasets.load_arrays(str(folder / name), "test", True, label="kind")
    batch = next(stream.batch(1000).as_numpy_iterator())
    np.testing.assert_array_equal(batch["x"], x_test)
    np.testing.assert_array_equal(batch["condition"], one_hot)


def test_labels_that_are_numbers_are_ordered_by_value(tmp_path):
    (tmp_path / "data.csv").write_text("a,y\n1,10\n2,9\n3,9.0\n4,-1\n")
    (_, one_hot), info = datasets.load_arrays(str(tmp_path / "data.csv"), "all", True, label="y")
    assert info.classes == ("-1", "9", "10")
    np.testing.assert_array_equal(one_hot.argmax(1), [2, 1, 1, 0])
    np.save(tmp_path / "data.npy", [[1.0, 10], [2, 9], [3, 9], [4, -1]])
    (x, again), info = datasets.load_arrays(str(tmp_path / "data.npy"), "all", True, label=-1)
    assert info.classes == ("-1", "9", "10")
    np.testing.assert_array_equal(again, one_hot)
    np.testing.assert_array_equal(x[:, 0], [1, 2, 3, 4])


def test_a_label_of_fractions_and_labels_where_there_are_none_are_refused(table, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,y\n1,0.5\n2,1\n")
    with pytest.raises(ValueError, match=r"label 'y': a label must hold whole .* Received: 0.5"):
        arrays(path, label="y")
    path.write_text("a,y\n" + "".join(f"{i},{i}\n" for i in range(1001)))
    with pytest.raises(ValueError, match=r"at most 1000 classes"):
        arrays(path, label="y")
    with pytest.raises(ValueError, match=r"no labels to condition on; a file takes label="):
        datasets.load_arrays(str(path), "all", True)
    with pytest.raises(ValueError, match=r"both label and data"):
        arrays(path, label="y", columns=["a", "y"])
    with pytest.raises(ValueError, match=r"no column 'kinds' among .* did you mean kind"):
        arrays(table[0] / "data.csv", label="kinds")


def test_separate_files_per_split_share_columns_and_classes(table, tmp_path):
    folder, _, _ = table
    (tmp_path / "test.csv").write_text("kind,c,b,a\neel,3,2,1\ncat,6,5,4\n")
    options = {"label": "kind", "test": str(tmp_path / "test.csv"), "validation": 0.2}
    (got, one_hot), info = datasets.load_arrays(str(folder / "data.csv"), "test", True, **options)
    np.testing.assert_array_equal(got, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(one_hot, [[0, 0, 1], [1, 0, 0]])
    assert info.classes == ("cat", "dog", "eel")
    sizes = [len(arrays(folder / "data.csv", split, **options)) for split in SPLITS]
    assert sizes == [403, 100, 2]
    (tmp_path / "test.csv").write_text("kind,c,b,a\nemu,3,2,1\n")
    with pytest.raises(
        ValueError, match=r"test.csv, label 'kind': the class 'emu' is not .*cat, dog"
    ):
        arrays(folder / "data.csv", "test", **options)
    (tmp_path / "test.csv").write_text("kind,c,a\ncat,3,2\n")
    with pytest.raises(ValueError, match=r"no column 'b' among"):
        arrays(folder / "data.csv", "test", **options)
    np.save(tmp_path / "test.npy", np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"to have the shape of .*data.npy. Received: \(4, 2\)"):
        arrays(folder / "data.npy", "test", test=str(tmp_path / "test.npy"))


def test_relative_paths_start_from_data_dir(table):
    folder, x, _ = table
    got, info = datasets.load_arrays("data.npy", "all", data_dir=str(folder))
    np.testing.assert_array_equal(got, x)
    assert info.name == "data.npy"


def test_npz_splits_are_found_by_their_keys(tmp_path):
    parts = {"train": np.eye(4), "valid": np.eye(4)[:2] + 1, "test": np.eye(4)[:1]}
    labels = {"train": [0, 1, 2, 1], "valid": [2, 2], "test": [1]}
    keys = {f"x_{split}": x for split, x in parts.items()}
    keys |= {f"y_{split}": y for split, y in labels.items()}
    path = tmp_path / "data.npz"
    np.savez(path, **keys)
    for split, key in zip(SPLITS, parts, strict=True):
        (x, one_hot), _ = datasets.load_arrays(str(path), split, True, label="y")
        np.testing.assert_array_equal(x, parts[key])
        np.testing.assert_array_equal(one_hot, np.eye(3)[labels[key]])
        np.testing.assert_array_equal(arrays(path, split), parts[key])
        np.testing.assert_array_equal(arrays(path, split, array="x"), parts[key])
    np.savez(path, x_train=np.eye(20), x_test=np.eye(20)[:5])
    assert [len(arrays(path, split)) for split in SPLITS] == [18, 2, 5]
    np.savez(path, x_train=np.eye(20), x_test=np.eye(3))
    with pytest.raises(ValueError, match=r"to have the shape of .* Received: \(3, 3\)"):
        arrays(path, "test")
    np.savez(path, first=np.eye(20), second=np.eye(5))
    with pytest.raises(ValueError, match=r"choose one by array=.*\['first', 'second'\]"):
        arrays(path)
    np.savez(path, x=np.eye(20), y=np.ones((20, 2)))
    with pytest.raises(
        ValueError, match=r"array 'y': labels must be .*\[20\]. Received: .*\[20, 2\]"
    ):
        arrays(path, label="y")


def test_a_file_on_disk_stays_there(tmp_path):
    """A .npy of 40 MB: what is held is a few chunks, and the map is not copied."""
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "float64", (500_000, 10))
    x[:] = np.random.default_rng(0).normal(size=(1, 10)) + np.arange(500_000)[:, None]
    x.flush()
    got, _ = datasets.load_arrays(str(tmp_path / "x.npy"), "all")
    assert isinstance(got, np.memmap)
    tracemalloc.start()
    stream, info = datasets.load(str(tmp_path / "x.npy"), "train", columns=[0, 4], shuffle_seed=0)
    total, count = 0.0, 0
    for batch in stream.batch(1000).prefetch(2).as_numpy_iterator():
        assert batch.shape == (1000, 2)
        total, count = total + batch[:, 1].sum(dtype="float64"), count + len(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    rows = np.random.default_rng(0).permutation(500_000)[100_000:]
    assert count == info.size == len(rows)
    assert total == pytest.approx(x[rows, 4].sum(), rel=1e-6)
    assert peak < 30e6  # row numbers and chunks; x is 40 MB, its float32 copy 20 MB


def test_arrays_in_memory_are_held_once(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(400_000, 10)))
    tracemalloc.start()
    x = arrays(tmp_path / "x.npz", "train")
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert x.nbytes == 320_000 * 10 * 4
    assert held < 1.3 * 400_000 * 10 * 4
    assert peak < 2 * 400_000 * 10 * 4  # float32 and row numbers: no float64 copy, no second one


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("shape", [(60, 5, 4), (60, 5, 4, 3)])
def test_uint8_arrays_of_images_have_256_levels_and_a_channel(tmp_path, suffix, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    path = tmp_path / f"images.{suffix}"
    np.save(path, images) if suffix == "npy" else np.savez(path, images)
    wanted = images.reshape(60, 5, 4, -1)
    got, info = datasets.load_arrays(str(path), "all")
    assert (info.levels, info.event_shape) == (256, wanted.shape[1:])
    assert got.dtype == "uint8"
    np.testing.assert_array_equal(got, wanted)
    stream, info = datasets.load(str(path), "train")
    assert stream.element_spec.dtype == "uint8"
    rows = np.sort(np.random.default_rng(0).permutation(60)[12:])
    np.testing.assert_array_equal(list(stream.as_numpy_iterator()), wanted[rows])


def test_an_array_of_images_has_no_label_column_and_a_uint8_table_is_float(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (60, 5), "uint8")
    np.save(tmp_path / "table.npy", x)
    stream, info = datasets.load(tmp_path / "table.npy", "all")
    assert (info.levels, stream.element_spec.dtype) == (None, "float32")
    np.save(tmp_path / "images.npy", x.reshape(4, 15, 5))
    with pytest.raises(ValueError, match=r"label= to be a column of a table .*\(4, 15, 5\)"):
        datasets.load(tmp_path / "images.npy", label=0)
    with pytest.raises(ValueError, match=r"columns= requires a table.*\(4, 15, 5\)"):
        datasets.load(tmp_path / "images.npy", columns=[0])


def test_parquet_labels_of_every_type(tmp_path):
    words = pa.array(["b", "a", None, "b"]).dictionary_encode()
    kinds = {"i": [2, 1, None, 2], "f": [2.0, 1.0, np.nan, 2.0], "t": [True, False, None, True]}
    path = tmp_path / "data.parquet"
    pa.parquet.write_table(pa.table({"x": [1, 2, 3, 4], "w": words, "l": [[1]] * 4} | kinds), path)
    for label, classes in (("w", "ab"), ("i", "12"), ("f", "12"), ("t", ("false", "true"))):
        options = {"columns": ["x"], "label": label, "missing": "drop"}
        (x, one_hot), info = datasets.load_arrays(path, "all", True, **options)
        assert info.classes == tuple(classes)
        assert info.dropped == 1
        np.testing.assert_array_equal(x[:, 0], [1, 2, 4])
        np.testing.assert_array_equal(one_hot.argmax(1), [1, 0, 1])
    with pytest.raises(
        ValueError, match=r"label 'l': expected whole numbers or words. Received: li"
    ):
        arrays(path, columns=["x"], label="l")


def test_float_arrays_of_further_axes_are_checked_for_numbers(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 4, 3))
    np.save(tmp_path / "x.npy", x)
    got, info = datasets.load_arrays(str(tmp_path / "x.npy"), "train")
    assert (info.levels, info.event_shape, got.shape) == (None, (4, 3), (16, 4, 3))
    x[7, 2, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(ValueError, match=r"1 missing values in 1 rows, the first in row 8"):
        arrays(tmp_path / "x.npy")
    got, info = datasets.load_arrays(str(tmp_path / "x.npy"), "all", missing="drop")
    np.testing.assert_array_equal(got, np.delete(x, 7, axis=0))
    assert info.dropped == 1


def test_constant_columns_are_named(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b,c\n1,2,3\n1,5,3\n")
    with pytest.raises(ValueError, match=r"same value in all rows.*columns 'a', 'c'. Leave them"):
        datasets.load(str(path))
    np.testing.assert_array_equal(arrays(path, columns=["b"]), [[2], [5]])
    np.save(tmp_path / "data.npy", [[1, 2], [3, 2]])
    with pytest.raises(ValueError, match=r"columns '1'"):
        datasets.load(str(tmp_path / "data.npy"))


def test_dropped_rows_are_counted_in_the_description(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b,k\n1,2,x\n,3,x\n4,5,\n6,7,y\n")
    with pytest.raises(ValueError, match=r"2 missing values in 2 rows, the first in line 3"):
        arrays(path, label="k")
    (x, one_hot), info = datasets.load_arrays(str(path), "all", True, label="k", missing="drop")
    np.testing.assert_array_equal(x, [[1, 2], [6, 7]])
    np.testing.assert_array_equal(one_hot, np.eye(2))
    assert info.dropped == 2
    assert "without 2 of 4 rows, which have missing values" in info.source


def test_wrong_splits_and_options_are_refused(table):
    path = str(table[0] / "data.npy")
    with pytest.raises(ValueError, match=r"'test', 'all'\]. Received: 'dev'"):
        datasets.load(path, "dev")
    with pytest.raises(ValueError, match=r"no option 'colums' among .*; did you mean columns"):
        datasets.load(path, colums=[1])
    with pytest.raises(ValueError, match=r"moons has no option 'label' among \['train_rows'\]"):
        datasets.load_arrays("moons", label="y")
    with pytest.raises(ValueError, match=r"test must be a fraction of the rows. Received: 1.5"):
        datasets.load(path, test=1.5)
    with pytest.raises(ValueError, match=r"sum to less than 1. Received: \{'validation': 0.5, 't"):
        datasets.load(path, validation=0.5, test=0.5)
    with pytest.raises(ValueError, match=r"has 503 rows, and none for validation. Received: \{'v"):
        datasets.load(path, "validation", validation=0)
    with pytest.raises(FileNotFoundError, match=r"no file .*dta.npy; did you mean data.npy"):
        datasets.load(path.replace("data.npy", "dta.npy"))


def collect(stream):
    return np.concatenate(list(stream.batch(4096).as_numpy_iterator()))


@pytest.mark.parametrize("name", ["moons", "digits"])
def test_shuffling_is_seeded_complete_and_another_in_each_pass(name):
    x, info = datasets.load_arrays(name, "validation")
    np.testing.assert_array_equal(collect(datasets.load(name, "validation")[0]), x)
    passes = []
    for seed in (3, 3, 4):
        stream, _ = datasets.load(name, "validation", shuffle_seed=seed)
        passes.append([collect(stream), collect(stream)])
        assert int(stream.cardinality()) == info.size
    for part in (rows for several in passes for rows in several):
        assert sorted(row.tobytes() for row in part) == sorted(row.tobytes() for row in x)
        assert (part != x).any()
    np.testing.assert_array_equal(passes[0], passes[1])
    assert (passes[0][0] != passes[0][1]).any()
    assert (passes[0][0] != passes[2][0]).any()


def test_fit_takes_the_stream_of_a_file(table):
    import tfflows

    folder, _, _ = table
    stream, info = datasets.load(
        str(folder / "data.csv"), "train", True, label="kind", shuffle_seed=0
    )
    flow = tfflows.models.RealNVP(
        info.event_shape, num_couplings=2, condition_shape=(info.num_classes,)
    )
    flow.compile("adam")
    history = flow.fit(stream.batch(64).prefetch(2), epochs=2, verbose=0)
    assert np.isfinite(history.history["nll"]).all()
