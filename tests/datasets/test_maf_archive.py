"""The MAF paper's datasets, from synthetic files of the archive's names, shapes and types."""

import pickle

import h5py
import numpy as np
import pytest

from tfflows import datasets
from tfflows.datasets.sets.maf_archive import DIMS

SPLITS = ("train", "validation", "test")


def _hepmass_rows(rng, n):
    rows = rng.normal(size=(n, 28)).astype("float32")
    rows[:, 0] = rng.integers(0, 2, n)
    # Six discrete features; of a seventh, only the largest value comes often, and it stays.
    rows[:, [5, 9, 13, 17, 21, 25]] = rng.integers(0, 3, (n, 6))
    rows[:, 27] = np.minimum(rows[:, 27], 0.5)
    return rows


def _write_hepmass(path, rows, test):
    with open(path, "w") as file:
        file.write("# label," + ",".join(f"f{i}" for i in range(27)) + "\n")
        for row in rows:
            text = ",".join(f"{value:.9e}" for value in row)
            file.write(text + (",1000.0\n" if test else "\n"))


def _gas_rows(rng, n):
    rows = rng.normal(size=(n, 19)) * 100
    # Sensor 1 follows 0, 2 follows 1 a little less, and 10 to 15 follow 9.
    rows[:, 4] = rows[:, 3] + 10 * rng.normal(size=n)
    rows[:, 5] = rows[:, 4] + 10 * rng.normal(size=n)
    for i in range(13, 19):
        rows[:, i] = 2 * rows[:, 12] + rng.normal(size=n)
    return rows


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The unpacked archive, with few rows, and what is in its files."""
    root, rng = tmp_path_factory.mktemp("archive"), np.random.default_rng(0)
    for folder in ("power", "gas", "hepmass", "miniboone", "BSDS300"):
        (root / "data" / folder).mkdir(parents=True)
    data = {
        "power": rng.normal(5, 3, size=(1037, 8)),
        "gas": _gas_rows(rng, 1013),
        "hepmass": (_hepmass_rows(rng, 803), _hepmass_rows(rng, 307)),
        "miniboone": rng.gamma(2, size=(455, 43)),
        "bsds300": {s: rng.normal(size=(n, 63)) for s, n in zip(SPLITS, (90, 30, 40), strict=True)},
    }
    np.save(root / "data/power/data.npy", data["power"])
    np.save(root / "data/gas/ethylene_CO.npy", data["gas"])
    np.save(root / "data/miniboone/data.npy", data["miniboone"])
    _write_hepmass(root / "data/hepmass/1000_train.csv", data["hepmass"][0], False)
    _write_hepmass(root / "data/hepmass/1000_test.csv", data["hepmass"][1], True)
    with h5py.File(root / "data/BSDS300/BSDS300.hdf5", "w") as file:
        for split, rows in data["bsds300"].items():
            file[split] = rows
    return root, data


# The paper's formulas once more, written as its authors' scripts go: copies, stacks and deletions.


def _restated_power(data):
    rng = np.random.RandomState(42)
    data = data.copy()
    rng.shuffle(data)
    data = np.delete(np.delete(data, 3, axis=1), 1, axis=1)
    n = len(data)
    voltage = 0.01 * rng.rand(n, 1)
    gap = 0.001 * rng.rand(n, 1)
    sub_metering = rng.rand(n, 3)
    data = data + np.hstack((gap, voltage, sub_metering, np.zeros((n, 1))))
    return _restated_tenths(data)


def _restated_tenths(data):
    n_test = int(0.1 * len(data))
    rest, test = data[:-n_test], data[-n_test:]
    n_validation = int(0.1 * len(rest))
    train, validation = rest[:-n_validation], rest[-n_validation:]
    seen = np.vstack((train, validation))
    return [(part - seen.mean(0)) / seen.std(0) for part in (train, validation, test)]


def _restated_gas(data):
    data = data[:, 3:]
    while True:
        counts = (np.corrcoef(data, rowvar=False) > 0.98).sum(axis=1)
        if not (counts > 1).any():
            break
        data = np.delete(data, np.where(counts > 1)[0][0], axis=1)
    data = (data - data.mean(0)) / data.std(0, ddof=1)
    n_test = int(0.1 * len(data))
    n_validation = int(0.1 * (len(data) - n_test))
    return np.split(data, [len(data) - n_test - n_validation, len(data) - n_test])


def _restated_hepmass(data):
    from collections import Counter

    train, test = (rows[rows[:, 0] == 1][:, 1:].astype("float64") for rows in data)
    mean, scale = train.mean(0), train.std(0, ddof=1)
    train, test = (train - mean) / scale, (test - mean) / scale
    counts = [next(v for _, v in sorted(Counter(feature).items())) for feature in train.T]
    kept = [i for i, count in enumerate(counts) if count <= 5]
    n_validation = int(len(train) * 0.1)
    train, validation = train[:-n_validation], train[-n_validation:]
    return [part[:, kept] for part in (train, validation, test)]


RESTATED = {
    "power": _restated_power,
    "gas": _restated_gas,
    "hepmass": _restated_hepmass,
    "miniboone": _restated_tenths,
    "bsds300": lambda data: list(data.values()),
}


@pytest.mark.parametrize("name", DIMS)
def test_preprocessing_and_splits_are_the_papers(archive, name):
    root, data = archive
    for split, wanted in zip(SPLITS, RESTATED[name](data[name]), strict=True):
        x, info = datasets.load_arrays(name, split, data_dir=str(root))
        assert x.dtype == "float32"
        assert x.shape == (info.size, DIMS[name]) == (info.size, info.dims)
        np.testing.assert_allclose(x, wanted, atol=3e-6, rtol=1e-5)
        stream, _ = datasets.load(name, split, data_dir=str(root))
        np.testing.assert_array_equal(list(stream.as_numpy_iterator()), x)


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        (2_049_280, (1_659_917, 184_435, 204_928)),  # POWER
        (1_052_065, (852_174, 94_685, 105_206)),  # GAS
        (36_488, (29_556, 3_284, 3_648)),  # MINIBOONE
    ],
)
def test_splits_have_the_sizes_of_the_papers_table(rows, sizes):
    from tfflows.datasets.sets.maf_archive import _tenths

    parts = _tenths(rows)
    assert tuple(parts[split].stop - parts[split].start for split in SPLITS) == sizes
    assert [parts[split].start for split in SPLITS] == [0, sizes[0], rows - sizes[2]]


@pytest.mark.parametrize("place", ["data", "data/power"])
def test_the_archive_is_found_from_its_folders(archive, place):
    root, _ = archive
    x, _ = datasets.load_arrays("power", data_dir=str(root))
    np.testing.assert_array_equal(datasets.load_arrays("power", data_dir=str(root / place))[0], x)


def test_file_names_may_differ_in_case(archive, tmp_path):
    root, data = archive
    (tmp_path / "bsds300").mkdir()
    file = tmp_path / "bsds300" / "bsds300.hdf5"
    file.write_bytes((root / "data/BSDS300/BSDS300.hdf5").read_bytes())
    x, _ = datasets.load_arrays("bsds300", "test", data_dir=str(tmp_path))
    np.testing.assert_array_equal(x, data["bsds300"]["test"].astype("float32"))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_gas_comes_from_tables_too(archive, tmp_path, suffix):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    _, data = archive
    (tmp_path / "gas").mkdir()
    names = ["Time", "Meth", "Eth", *(f"R{i}" for i in range(1, 17))]
    table = pa.table(dict(zip(names, data["gas"].T, strict=True)))
    write = pa.parquet.write_table if suffix == "parquet" else pa.csv.write_csv
    write(table, tmp_path / f"gas/ethylene_CO.{suffix}")
    x, _ = datasets.load_arrays("gas", "test", data_dir=str(tmp_path))
    np.testing.assert_allclose(x, _restated_gas(data["gas"])[2], atol=1e-5)


def test_gas_from_ucis_text_is_a_seeded_quarter(archive, tmp_path):
    _, data = archive
    (tmp_path / "gas").mkdir()
    with open(tmp_path / "gas/ethylene_CO.txt", "w") as file:
        file.write("Time (seconds), CO conc (ppm), Ethylene conc (ppm), sensor readings\n")
        np.savetxt(file, data["gas"], fmt="%8.3f", delimiter="   ")
    parts = [datasets.load_arrays("gas", s, data_dir=str(tmp_path))[0] for s in SPLITS]
    x = np.concatenate(parts)
    assert [len(part) for part in parts] == [206, 22, 25]
    rows = np.random.default_rng(42).permutation(1013)[:253]
    wanted = np.concatenate(_restated_gas(data["gas"][rows]))
    np.testing.assert_allclose(x, wanted, atol=1e-4)


def test_the_gas_pickle_is_named_and_never_loaded(tmp_path):
    (tmp_path / "gas").mkdir()

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    (tmp_path / "gas/ethylene_CO.pickle").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(OSError, match=r"never loaded.*\n.*read_pickle\('.*\.pickle'\).to_parquet"):
        datasets.load("gas", data_dir=str(tmp_path))


def test_the_printed_command_converts_the_pickle(archive, tmp_path):
    pandas = pytest.importorskip("pandas", reason="only the user's own conversion needs pandas")
    import shlex
    import subprocess
    import sys

    _, data = archive
    (tmp_path / "gas").mkdir()
    names = ["Time", "Meth", "Eth", *(f"R{i}" for i in range(1, 17))]
    frame = pandas.DataFrame(data["gas"], columns=names)
    # The archive's is a sample of the rows, with a shuffled index.
    frame.sample(frac=1, random_state=0).to_pickle(tmp_path / "gas/ethylene_CO.pickle")
    with pytest.raises(OSError, match="never loaded") as caught:
        datasets.load("gas", data_dir=str(tmp_path))
    command = shlex.split(str(caught.value).splitlines()[-1])
    subprocess.run([sys.executable, *command[1:]], check=True)
    x, _ = datasets.load_arrays("gas", "train", data_dir=str(tmp_path))
    assert x.shape == (821, 8)


def _wrong_archives(root):
    rng = np.random.default_rng(0)
    for folder in ("power", "gas", "hepmass", "miniboone", "bsds300"):
        (root / folder).mkdir()
    np.save(root / "power/data.npy", rng.normal(size=(50, 7)))
    np.save(root / "gas/ethylene_CO.npy", rng.normal(size=(50, 19)))
    np.save(root / "miniboone/data.npy", np.ones((50, 43)))
    (root / "hepmass/1000_train.csv").write_text("a,b\n1,2\n")
    with h5py.File(root / "bsds300/BSDS300.hdf5", "w") as file:
        file["train"] = rng.normal(size=(5, 63))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("power", r"to have shape \[n, 8\]. Received: \[50, 7\]"),
        ("gas", "gas to have 8 columns after .* Received: 16"),
        ("miniboone", "column 0 .* is constant"),
        ("hepmass", "rows of 28 numbers in .*1000_train.csv"),
        ("bsds300", r"to hold the arrays \['train', 'validation', 'test'\]. Received: \['train'\]"),
    ],
)
def test_wrong_layouts_say_what_was_wanted_and_what_came(tmp_path, name, message):
    _wrong_archives(tmp_path)
    with pytest.raises(ValueError, match=message):
        datasets.load(name, data_dir=str(tmp_path))


@pytest.mark.parametrize("name", DIMS)
def test_missing_files_list_what_is_there(tmp_path, name):
    (tmp_path / "something").mkdir()
    with pytest.raises(
        OSError, match=rf"{name}/.* There is: \['something'\]".replace("bsds", "BSDS")
    ):
        datasets.load(name, data_dir=str(tmp_path))
    with pytest.raises(OSError, match="no folder"):
        datasets.load(name, data_dir=str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="data_dir"):
        datasets.load(name)
    with pytest.raises(ValueError, match="Received: 'dev'"):
        datasets.load(name, "dev", data_dir=str(tmp_path))


@pytest.mark.parametrize("name", DIMS)
def test_tfds_load_finds_them_with_a_manual_folder(archive, tmp_path, name):
    import tensorflow_datasets as tfds

    import tfflows.datasets.sets.tfds_builders  # noqa: F401

    root, _ = archive
    config = tfds.download.DownloadConfig(manual_dir=str(root))
    prepared = tfds.load(
        name,
        data_dir=str(tmp_path),
        download_and_prepare_kwargs={"download_config": config},
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    assert set(prepared) == set(SPLITS)
    x, _ = datasets.load_arrays(name, "validation", data_dir=str(root))
    got = [row["x"] for row in prepared["validation"].as_numpy_iterator()]
    np.testing.assert_array_equal(got, x)
    again = tfds.load(name, data_dir=str(tmp_path), split="test", download=False)
    assert again.element_spec["x"].shape == (DIMS[name],)
