"""POWER, GAS, HEPMASS, MINIBOONE and BSDS300 from a copy of the MAF paper's data archive.

The preprocessing and the splits are those of Papamakarios et al. 2017 (appendix D and the authors'
code), so that log-likelihoods stand beside the published ones. The archive is `data.tar.gz` of
doi 10.5281/zenodo.1161203; nothing is downloaded.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.readers.columns import choose_columns
from tfflows.datasets.readers.npy import ArrayTable
from tfflows.datasets.readers.table import TableReader, open_table
from tfflows.utils.damage import check_expansion, damage_named, shortened

SPLITS = ("train", "validation", "test")
DIMS = {"power": 6, "gas": 8, "hepmass": 21, "miniboone": 43, "bsds300": 63}
_GAS_FILES = tuple(f"ethylene_CO.{suffix}" for suffix in ("npy", "parquet", "csv", "txt"))


def load_maf(
    name: str, split: str, data_dir: str | None = None
) -> tuple[np.ndarray, None, DatasetInfo]:
    """x float32 `[size, DIMS[name]]`, None, and the description.

    Args:
        name: "power", "gas", "hepmass", "miniboone" or "bsds300".
        split: "train", "validation" or "test".
        data_dir: the unpacked archive: its root, its folder `data`, or the folder of the dataset.

    Raises:
        OSError: a file is missing. If only the pickle of GAS is there, the message has the command
            that converts it; the pickle itself is never loaded.
        ValueError: a file is not laid out as the archive's.
    """
    if split not in SPLITS:
        raise ValueError(f"{name} has the splits {list(SPLITS)}. Received: {split!r}")
    if data_dir is None:
        raise OSError(f"{name} requires the folder of the unpacked MAF archive as data_dir")
    x = _LOADERS[name](Path(data_dir), split)
    if x.shape[1] != DIMS[name]:
        raise ValueError(
            f"Expected {name} to have {DIMS[name]} columns after the paper's preprocessing, as the "
            f"archive's file has. Received: {x.shape[1]} from {data_dir}"
        )
    if not len(x):
        raise ValueError(f"{name} in {data_dir} has too few rows for a {split} split")
    source = f"{name.upper()} as in Papamakarios et al. 2017, from {Path(data_dir).name}"
    return x, None, DatasetInfo(name, split, (DIMS[name],), None, None, len(x), source)


def _power(root, split):
    """Shuffled, two discrete columns dropped, noise of each column's resolution added."""
    data = _npy(_find(root, "power", "data.npy"), 8)
    rng = np.random.RandomState(42)
    order = np.arange(len(data))
    rng.shuffle(order)  # draws what shuffling the rows themselves draws
    n = len(data)
    voltage, gap, sub_metering = 0.01 * rng.rand(n, 1), 0.001 * rng.rand(n, 1), rng.rand(n, 3)
    data = data[order][:, [0, 2, 4, 5, 6, 7]].astype("float64")
    data[:, :5] += np.hstack([gap, voltage, sub_metering])
    return _tenth_split("power", data, split)


def _miniboone(root, split):
    """As in the file, which the authors had cleaned."""
    data = _npy(_find(root, "miniboone", "data.npy"), DIMS["miniboone"])
    return _tenth_split("miniboone", np.asarray(data, "float64"), split)


def _gas(root, split):
    """One column of those with a correlation above 0.98; standardised by all rows; in order."""
    path = _find_gas(root)
    if path.suffix == ".txt":
        data = _quarter(_text(path, delimiter=None, columns=19)[:, 3:])
    elif path.suffix == ".npy":
        data = _npy(path, 19)[:, 3:]
    else:
        data = _table(path, {"Time", "Meth", "Eth", "__index_level_0__"}, 16)
    data = np.asarray(data, "float64")
    correlated = np.corrcoef(data.T) > 0.98
    kept = list(range(len(correlated)))
    while (crowded := correlated[np.ix_(kept, kept)].sum(axis=1) > 1).any():
        kept.pop(int(np.argmax(crowded)))
    data = data[:, kept]
    return _standardised("gas", data[_tenths(len(data))[split]], data, ddof=1)


def _hepmass(root, split):
    """The signal of mass 1000 without columns whose smallest value comes more than five times."""
    train = _signal(_find(root, "hepmass", "1000_train.csv"))
    # The original counts every value of a column, and then looks at the count of the smallest.
    kept = [i for i in range(train.shape[1]) if (train[:, i] == train[:, i].min()).sum() <= 5]
    train = train[:, kept]
    if split == "test":
        part = _signal(_find(root, "hepmass", "1000_test.csv"))[:, kept]
    else:
        end = len(train) - int(0.1 * len(train))
        part = train[:end] if split == "train" else train[end:]
    return _standardised("hepmass", part, train, ddof=1)


def _bsds300(root, split):
    """Patches as in the file: nothing is left to do."""
    import h5py

    path = _find(root, "BSDS300", "BSDS300.hdf5")
    with damage_named(path, "is not an HDF5 file"):
        file = h5py.File(path, "r")
    with file:
        with damage_named(path):
            arrays = [key for key in SPLITS if isinstance(file.get(key), h5py.Dataset)]
            keys = sorted(file)
        if len(arrays) < len(SPLITS):
            raise ValueError(
                f"Expected {path} to hold the arrays {list(SPLITS)}. Received: {shortened(keys)}"
            )
        with damage_named(f"{path}, {split},"):
            data = file[split]
            shape, dtype = data.shape, data.dtype
        if len(shape) != 2 or shape[1] != DIMS["bsds300"] or dtype.kind != "f":
            raise ValueError(
                f"{path}, {split}: expected floats [n, 63]. Received: {dtype}, {shape}"
            )
        check_expansion(f"{path}, {split},", data.nbytes, path.stat().st_size)
        with damage_named(f"{path}, {split},"):
            x = np.empty(shape, "float32")
            if len(x):
                data.read_direct(x)
    return x


_LOADERS: dict[str, Callable[[Path, str], np.ndarray]] = {
    "power": _power,
    "gas": _gas,
    "hepmass": _hepmass,
    "miniboone": _miniboone,
    "bsds300": _bsds300,
}


def _tenths(size):
    """Slices of the splits: test is the last tenth, validation the last tenth of the rest."""
    test = size - int(0.1 * size)
    validation = test - int(0.1 * test)
    return {
        "train": slice(0, validation),
        "validation": slice(validation, test),
        "test": slice(test, size),
    }


def _tenth_split(name, data, split):
    """A split, standardised by train and validation."""
    splits = _tenths(len(data))
    return _standardised(name, data[splits[split]], data[: splits["validation"].stop], ddof=0)


def _standardised(name, part, reference, ddof):
    mean = reference.mean(axis=0, dtype="float64")
    scale = reference.std(axis=0, dtype="float64", ddof=ddof)
    wrong = np.flatnonzero(~np.isfinite(scale) | (scale == 0))
    if len(wrong):
        raise ValueError(
            f"{name}: column {wrong[0]} after the preprocessing is constant or not finite, so that "
            "it cannot be standardised"
        )
    return ((part - mean) / scale).astype("float32")


def _find(root, folder, *names):
    """The first of the files that is there, in any case, under root, root/data or its folder."""
    places = [root / "data" / folder, root / folder, root]
    for place in places:
        for path in (p for name in names for p in _ignoring_case(place / name)):
            return path
    expected = " or ".join(f"{folder}/{name}" for name in names)
    there = sorted(p.name for p in root.iterdir())[:20] if root.is_dir() else "no folder"
    raise FileNotFoundError(f"Expected the MAF archive's {expected} in {root}. There is: {there}")


def _ignoring_case(path):
    """Files of this name and parent folder; the archive and its copies differ in their case."""
    grandparent = path.parent.parent
    parents = [path.parent]
    if not path.parent.is_dir() and grandparent.is_dir():
        parents = [p for p in grandparent.iterdir() if p.name.lower() == path.parent.name.lower()]
    files = [p for parent in parents if parent.is_dir() for p in sorted(parent.iterdir())]
    return [p for p in files if p.is_file() and p.name.lower() == path.name.lower()]


def _find_gas(root):
    try:
        return _find(root, "gas", *_GAS_FILES)
    except FileNotFoundError as error:
        try:
            pickle = _find(root, "gas", "ethylene_CO.pickle")
        except FileNotFoundError:
            raise error from None
        target = pickle.with_suffix(".parquet")
        raise FileNotFoundError(
            f"{pickle} is a pickle, which can run any code and is never loaded here. If you trust "
            "it, convert it once by pandas:\n"
            f"python -c \"import pandas; pandas.read_pickle('{pickle}')"
            f".to_parquet('{target}', index=False)\""
        ) from None


def _npy(path, columns):
    array = ArrayTable.open(path).array()
    if array.ndim != 2 or array.shape[1] != columns:
        raise ValueError(
            f"Expected {path} to have shape [n, {columns}]. Received: {list(array.shape)}"
        )
    return array


def _table(path, without, columns):
    """float32 columns of a .csv or .parquet file, except those named."""
    table = open_table(path)
    names = [name for name in table.names if name not in without]
    if len(names) != columns:
        raise ValueError(
            f"Expected {path} to have {columns} columns beside {sorted(without)}. "
            f"Received: {len(names)}, {names[:20]}"
        )
    reader = TableReader(table, choose_columns(table, names), None, "refuse")
    return np.concatenate([part for part, _, _ in reader])


def _text(path, delimiter, columns):
    """float32 `[n, columns]` of a text file with a header, of which further columns are ignored."""
    try:
        return np.loadtxt(
            path, "float32", delimiter=delimiter, skiprows=1, usecols=range(columns), ndmin=2
        )
    except ValueError as error:
        raise ValueError(f"Expected rows of {columns} numbers in {path}: {error}") from error


def _signal(path):
    """The 27 features of class 1. Rows of the test file have one column more than their header."""
    rows = _text(path, delimiter=",", columns=28)
    signal = rows[rows[:, 0] == 1, 1:]
    if not len(signal):
        raise ValueError(f"{path} has no rows of class 1 in its first column")
    return signal


def _quarter(data):
    """A quarter of UCI's rows in random order, because the archive's pickle is such a sample.

    The authors' own draw is not known: that is where results differ from theirs.
    """
    order = np.random.default_rng(42).permutation(len(data))
    return data[order[: math.floor(0.25 * len(data))]]
