"""A user's own arrays: .csv, .parquet, .npy and .npz files and their splits."""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfflows.datasets.column_checks import ColumnSample, warn_of_discrete
from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.readers.columns import choose_columns, find_column, find_columns
from tfflows.datasets.readers.dequantize import UniformNoise
from tfflows.datasets.readers.labels import LabelCodes
from tfflows.datasets.readers.npy import ArrayTable
from tfflows.datasets.readers.npz import npz_keys, npz_labels
from tfflows.datasets.readers.table import SUFFIXES, TableReader, open_table
from tfflows.datasets.rows import RowView
from tfflows.datasets.splits import SPLITS, split_rows

# How the arrays of a split are called in .npz files, before or after the name of the array.
_SPLIT_NAMES = {
    "train": ("train", "trn"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "tst"),
}


def is_file_name(name: str) -> bool:
    """Whether a dataset's name is the path of a file."""
    return Path(name).suffix.lower() in SUFFIXES or Path(name).is_file()


def column_names(
    name: str, data_dir: str | None = None, array: str | None = None, header: bool | None = None
) -> tuple[str, ...] | None:
    """Names of the columns of a table, "0", "1", ... where they have none; None for other data.

    Args:
        name, data_dir, array, header: as `load_file` takes them.

    Raises:
        ValueError, OSError: the file cannot be read.
    """
    if not is_file_name(name):
        return None
    path = Path(data_dir or "") / name
    table = open_table(path, _npz_splits(path, array, None).get("train", array), header)
    is_events = isinstance(table, ArrayTable) and len(table.shape) > 2
    return None if is_events else tuple(table.names)


def load_file(
    name: str,
    split: str,
    data_dir: str | None = None,
    *,
    columns: Sequence[str | int] | None = None,
    exclude: Sequence[str | int] = (),
    label: str | int | None = None,
    classes: Sequence[str] | None = None,
    condition: Sequence[str | int] = (),
    dequantize: Sequence[str | int] = (),
    array: str | None = None,
    missing: str = "refuse",
    header: bool | None = None,
    validation: float | str | Path = 0.1,
    test: float | str | Path = 0.1,
    seed: int = 0,
) -> tuple[np.ndarray | RowView, np.ndarray | None, DatasetInfo]:
    """x `[size, *event_shape]`, class numbers `[size]`, features or None, and the description.

    Tables are float32. uint8 arrays `[n, h, w]` or `[n, h, w, c]` are images of 256 grey levels. A
    .npy file stays on disk: x is a memory map of the file's type, or a view of its rows.

    Columns of few different values, of whole numbers with ties, or with a value that many rows
    share, make a UserWarning that names them: a flow gives them a density without bound.

    Args:
        name: path of a .csv, .parquet, .npy or .npz file.
        split: "train", "validation", "test", or "all" for every row (of a .npz with splits, of
            its training array).
        data_dir: folder that relative paths start from; None takes the current one.
        columns: names or indices of the columns of a table, in the order wanted. None takes all
            but the label, the condition and those excluded, and refuses a table with a column that
            does not hold numbers. An index without a name that pandas wrote is left out.
        exclude: names or indices of columns to leave out.
        label: the column, by name or index, whose whole numbers or words are the classes; or the
            key of a .npz's labels, found for each split as the data are.
        classes: names of all classes, in the order of the one-hot labels; another class is
            refused. None takes those of the file, sorted.
        condition: names or indices of columns of numbers that are the condition of a conditional
            flow, float32 `[size, len(condition)]`, and not part of x. Not beside a label.
        dequantize: names or indices of columns of whole numbers, to which uniform noise from
            [0, 1) is added, the same each time: see `readers.dequantize.UniformNoise`. The mean
            log-density is then a lower bound of the log-probability of the whole numbers.
        array: key of a .npz's data; None takes its one array beside the labels, or x_train,
            x_valid (x_val, x_validation) and x_test; `array="images"` finds images_train, ...
        missing: "refuse" missing values (empty, NA, NaN, ?) by ValueError, or "drop" their rows;
            `DatasetInfo.dropped` counts them.
        header: whether a .csv begins with the names of its columns; None finds out.
        validation: fraction of rows, or the path of a file that holds this split.
        test: as validation. A .npz that has the split ignores its fraction.
        seed: of the permutation that chooses the rows of the splits, which keep the file's order,
            and of the noise.

    Raises:
        ValueError: what `stream_table` refuses, a column that is constant, a label of fractions or
            of too many classes, a label and a condition, or a split without rows.
        OSError: the file does not exist.
    """
    if split not in SPLITS:
        raise ValueError(f"{name} has the splits {list(SPLITS)}. Received: {split!r}")
    if label is not None and len(condition):
        raise ValueError(
            f"{name} takes label= or condition=. Received: label={label!r}, condition={condition!r}"
        )
    folder = Path(data_dir or "")
    options = _Options(columns, exclude, label, condition, dequantize, array, missing, header, seed)
    path = folder / name
    own = dict.fromkeys(_npz_splits(path, array, label), path)
    held_out = {"validation": validation, "test": test}
    own |= {s: folder / file for s, file in held_out.items() if isinstance(file, str | Path)}
    codes = LabelCodes(f"{path}, label {label!r}", classes)
    if split in own and split != "train":
        part = _read_own(path, own[split], split, options, codes)
        return _select(part, np.arange(len(part.rows)), name, split, codes)
    part = _read(_open(path, "train", options), options, codes, is_main=True)
    if part.dropped and split in ("train", "all"):
        warnings.warn(f"{path}: left out {part.dropped_text}", stacklevel=2)
    fractions = {
        s: fraction
        for s, fraction in held_out.items()
        if s not in own and not isinstance(fraction, str | Path)
    }
    chosen = split_rows(name, len(part.rows), split, fractions, seed)
    return _select(part, chosen, name, split, codes)


@dataclasses.dataclass(frozen=True)
class _Options:
    columns: Sequence[str | int] | None
    exclude: Sequence[str | int]
    label: str | int | None
    condition: Sequence[str | int]
    dequantize: Sequence[str | int]
    array: str | None
    missing: str
    header: bool | None
    seed: int


@dataclasses.dataclass(frozen=True)
class _Source:
    """An open table, its columns of x and of the condition, its labels' column or key."""

    table: object
    columns: list[int]
    condition: list[int]
    label_column: int | None
    label_key: str | None

    @property
    def is_table(self):
        return not isinstance(self.table, ArrayTable) or len(self.table.shape) <= 2


@dataclasses.dataclass(frozen=True)
class _Part:
    """What was read of a file: rows `rows` of `x` are complete; their labels or features."""

    source: _Source
    x: np.ndarray
    rows: np.ndarray
    codes: np.ndarray | None
    features: np.ndarray | None
    dropped_text: str
    dropped: int
    dequantized: tuple[str, ...]


def _npz_splits(path, array, label):
    """{"train": key, ...} of a .npz, with the other splits where it has them; {} of other files."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return {}
    keys = npz_keys(path)
    others = []
    if isinstance(label, str):
        others = [k for k in keys if k == label or k.startswith(f"{label}_")]
        others += [k for k in keys if k.endswith(f"_{label}")]
    keys = [key for key in keys if key not in others]
    if array in keys:
        return {"train": array}
    stems = ("x", "X", "") if array is None else (array,)
    found = {}
    for split, names in _SPLIT_NAMES.items():
        pairs = [(stem, name) for stem in stems for name in names]
        likely = [f"{a}_{b}".strip("_") for stem, n in pairs for a, b in ((stem, n), (n, stem))]
        found[split] = next((key for key in likely if key in keys), None)
    found = {split: key for split, key in found.items() if key is not None}
    if "train" in found:
        return found
    if array is None and len(keys) == 1:
        return {"train": keys[0]}
    raise ValueError(
        f"Expected {path} to hold one array, or x_train and such; choose one by array=. Received: "
        f"array={array!r}, and arrays {keys} in the file"
    )


def _open(path, split, options, main=None):
    """Open one file, or one array of a .npz; `main` is the training source it has to match."""
    key = _npz_splits(path, options.array, options.label).get(split)
    table = open_table(path, key if key else options.array, options.header)
    label_key = None
    if key and isinstance(options.label, str):
        label_key = _npz_splits(path, options.label, None).get(split)
        if label_key is None:
            raise ValueError(f"{path} has no labels {options.label!r} of the split {split}")
    label = None
    if options.label is not None and label_key is None:
        if isinstance(table, ArrayTable) and len(table.shape) > 2:
            raise ValueError(
                f"Expected label= to be a column of a table or a key of a .npz. Received: "
                f"{options.label!r} for {path}, {table.shape}"
            )
        label = find_column(table, options.label)
    columns, exclude = options.columns, options.exclude
    if main is not None and isinstance(table, ArrayTable):
        if table.shape[1:] != getattr(main.table, "shape", (0, len(main.table.names)))[1:]:
            raise ValueError(
                f"Expected {path} to have the shape of {main.table.path}. Received: {table.shape}"
            )
    elif main is not None:
        columns, exclude = [main.table.names[i] for i in main.columns], ()
    by_column = columns is not None or len(exclude) or len(options.condition)
    by_column = by_column or len(options.dequantize)
    if by_column and isinstance(table, ArrayTable) and len(table.shape) > 2:
        raise ValueError(f"columns= requires a table. Received: {path}, {table.shape}")
    condition = find_columns(table, options.condition, "condition")
    chosen = choose_columns(table, columns, exclude, label, condition)
    return _Source(table, chosen, condition, label, label_key)


def _read_own(path, own_path, split, options, codes):
    """A split in its own file or array, with the columns and classes of the training rows."""
    main = _open(path, "train", options)
    if options.label is not None:
        _read(main, options, codes, is_main=False)
        codes.close(f"{own_path}, label {options.label!r}")
    source = _open(own_path, split if own_path == path else "train", options, main)
    return _read(source, options, codes, is_main=False)


class _Growing:
    """A float32 array `[n, width]` of parts that come one after the other, held once."""

    def __init__(self, width):
        self._rows, self._filled = np.empty((0, width), "float32"), 0

    def add(self, part):
        end = self._filled + len(part)
        if end > len(self._rows):  # resize moves no bytes where the system can remap them
            size = max(end, len(self._rows) * 9 // 8)
            self._rows.resize((size, self._rows.shape[1]), refcheck=False)
        self._rows[self._filled : end], self._filled = part, end

    def finish(self):
        self._rows.resize((self._filled, self._rows.shape[1]), refcheck=False)
        return self._rows


def _read(source, options, codes, is_main):
    """Read a file once, checking its values; what is in memory afterwards is one float32 array."""
    table, width = source.table, len(source.columns)
    keep_file = isinstance(table, ArrayTable) and (table.key is None or not source.is_table)
    keep_file = keep_file and not len(options.dequantize)
    columns = [*source.columns, *source.condition]
    noise = UniformNoise(table, source.columns, options.dequantize, options.seed)
    reader = TableReader(table, columns, source.label_column, options.missing, noise)
    x, features = _Growing(width), _Growing(len(source.condition))
    low, high, sample = np.inf, -np.inf, ColumnSample(width)
    rows, labels = [], []
    is_image = keep_file and not source.is_table and table.dtype == "uint8"
    for part, values, numbers in () if is_image else reader:
        if keep_file or source.label_key is not None:
            rows.append(numbers)
        if values is not None:
            labels.append(codes.encode(values))
        features.add(part[:, width:])
        part = part[:, :width]
        if len(part) and is_main and source.is_table:
            low, high = np.minimum(low, part.min(axis=0)), np.maximum(high, part.max(axis=0))
            sample.add(part)
        if not keep_file:
            x.add(part)
    if is_main and source.is_table:
        _refuse_constant(source, low, high)
        warn_of_discrete(table.path, [table.names[i] for i in source.columns], sample)
    x = table.array() if keep_file else x.finish()
    rows = np.concatenate(rows) if rows else np.arange(len(x))
    labels = np.concatenate(labels) if labels else None
    if source.label_key is not None:
        labels = codes.encode(npz_labels(table.path, source.label_key, table.shape[0])[rows])
    if not keep_file:
        rows = np.arange(len(x))
    features = features.finish() if source.condition else None
    dropped = reader.dropped_text, reader.dropped
    return _Part(source, x, rows, labels, features, *dropped, noise.names)


def _refuse_constant(source, low, high):
    constant = [source.table.names[source.columns[i]] for i in np.flatnonzero(low == high)]
    if constant:
        raise ValueError(
            f"{source.table.path} has the same value in all rows, so that no density exists, in "
            f"columns {', '.join(map(repr, constant))}. Leave them out by exclude="
        )


def _select(part, chosen, name, split, codes):
    """The chosen rows and their description."""
    source, table = part.source, part.source.table
    rows, x = part.rows[chosen], part.x
    column, classes, condition = source.label_column, None, part.features
    if part.codes is not None:
        classes, order = codes.ordered()
        condition = order[part.codes]
    if condition is not None:
        condition = condition[chosen]
    is_disk = isinstance(x, np.memmap)
    levels = 256 if not source.is_table and x.dtype == "uint8" else None
    if source.is_table:
        x = x.reshape(len(x), -1)
    if levels and x.ndim == 3:
        x = x[..., None]
    every = x.ndim > 2 or source.columns == list(range(x.shape[1]))
    if not is_disk:
        x = _keep_rows(x, rows)
    elif len(rows) < len(x) or not every:
        x = RowView(x, rows, None if every else source.columns)
    info = DatasetInfo(
        name=name,
        split=split,
        event_shape=tuple(x.shape[1:]),
        levels=levels,
        num_classes=None if classes is None else len(classes),
        size=len(rows),
        source=f"file {table.path}" + f" without {part.dropped_text}" * bool(part.dropped),
        columns=tuple(table.names[i] for i in source.columns) if source.is_table else None,
        label=source.label_key if column is None else table.names[column],
        classes=classes,
        dropped=part.dropped,
        condition_columns=tuple(table.names[i] for i in source.condition) or None,
        dequantized=part.dequantized or None,
    )
    return x, condition, info


def _keep_rows(x, rows):
    """x[rows] for increasing rows, moved to the front of x: no second copy is held."""
    if len(rows) == len(x):
        return x
    step = max(1, 2**20 // max(1, x[0].size))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        x[start : start + len(part)] = x[part]
    return x[: len(rows)]
