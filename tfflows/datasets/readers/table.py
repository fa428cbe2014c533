"""Tables of numbers from .csv, .parquet, .npy and .npz files, read in bounded memory."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfflows.datasets.readers.csv import CsvTable
from tfflows.datasets.readers.npy import ArrayTable
from tfflows.datasets.readers.parquet import ParquetTable
from tfflows.utils.suggest import nearest

SUFFIXES = (".csv", ".parquet", ".npy", ".npz")
Table = CsvTable | ParquetTable | ArrayTable
MISSING_POLICIES = ("refuse", "drop", "nan")
_CHUNK_ELEMENTS = 2**18


def stream_table(
    path: str | Path,
    columns: Sequence[str | int] | None = None,
    batch_size: int = 4096,
    missing: str = "refuse",
    array: str | None = None,
    header: bool | None = None,
) -> Iterator[np.ndarray]:
    """Read a file of any length batch by batch, in its order, holding a few batches at a time.

    Args:
        path: a .csv, .parquet, .npy or .npz file.
        columns: names or indices of columns, in the order of the result; None takes all. Columns
            of a file without names are called "0", "1", ...
        batch_size: rows of every batch but the last.
        missing: "refuse" raises at a missing value; "drop" leaves its row out, and warns of the
            number of rows at the end; "nan" makes missing and infinite values NaN.
        array: key of the array in a .npz of several.
        header: whether a .csv begins with names; None finds out (`CsvTable.open`).

    Yields:
        float32 `[<= batch_size, d]`; `[<= batch_size, *event]` from arrays of more axes.

    Raises:
        ValueError: no such column, a row of another length, not a number, a missing or infinite
            value: the first one by line (CSV) or row, counted from 1, and column.
        OSError: the file does not exist.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer. Received: {batch_size!r}")
    table = open_table(path, array, header)
    reader = TableReader(table, choose_columns(table, columns, None), None, missing)
    event = (len(reader.columns),)
    if isinstance(table, ArrayTable) and len(table.shape) > 2:
        if columns is not None:
            raise ValueError(f"columns= requires rows of numbers. Received: {path}, {table.shape}")
        event = table.event_shape
    return _batches(reader, batch_size, event)


def _batches(reader, batch_size, event):
    buffer, filled = np.empty((batch_size, len(reader.columns)), "float32"), 0
    for x, _, _ in reader:
        while len(x):
            part = x[: batch_size - filled]
            buffer[filled : filled + len(part)] = part
            filled, x = filled + len(part), x[len(part) :]
            if filled == batch_size:
                yield buffer.reshape(-1, *event)
                buffer, filled = np.empty_like(buffer), 0
    if filled:
        yield buffer[:filled].reshape(-1, *event)
    if reader.dropped:
        warnings.warn(f"{reader.table.path}: left out {reader.dropped_text}", stacklevel=2)


def open_table(path: str | Path, array: str | None = None, header: bool | None = None) -> Table:
    """The table in a file: its `names`, its `batches` and the `place` of a row, for messages."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"A file must have one of the suffixes {list(SUFFIXES)}. Received: {path}")
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*") if p.suffix.lower() in SUFFIXES]
        raise FileNotFoundError(f"There is no file {path}{nearest(path.name, near)}")
    if array is not None and suffix != ".npz":
        raise ValueError(f"array= names an array of a .npz file. Received: {array!r} for {path}")
    if header is not None and suffix != ".csv":
        raise ValueError(f"header= is for .csv files. Received: {header!r} for {path}")
    if suffix == ".csv":
        return CsvTable.open(path, header)
    if suffix == ".parquet":
        return ParquetTable.open(path)
    return ArrayTable.open(path, array)


def choose_columns(table, columns, label) -> list[int]:
    """Indices of the columns by name or index: all but the label where none are given."""
    if columns is None:
        return [i for i in range(len(table.names)) if i != label]
    if isinstance(columns, str) or not len(columns):
        raise ValueError(f"columns must be a list of names or indices. Received: {columns!r}")
    chosen = [find_column(table, column) for column in columns]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"columns must name every column once. Received: {list(columns)}")
    if label in chosen:
        raise ValueError(f"Column {table.names[label]!r} is both label and data")
    return chosen


def find_column(table, column: str | int) -> int:
    """Index of a column by its name or index."""
    count = len(table.names)
    if isinstance(column, int | np.integer) and -count <= column < count:
        return int(column) % count
    if column in table.names:
        return table.names.index(column)
    shown = ", ".join(table.names[:20]) + (", ..." if count > 20 else "")
    raise ValueError(
        f"{table.path} has no column {column!r} among its {count}: {shown}"
        f"{nearest(str(column), table.names)}"
    )


class TableReader:
    """Rows of chosen columns, with missing values refused, left out or made NaN.

    Infinite values are refused, or made NaN as well. Iterating gives (x float32 `[n, d]`, labels of
    str `[n]` or None, row numbers `[n]` from 0), in file order; `rows` and `dropped` count
    afterwards what was read and left out.
    """

    def __init__(self, table, columns: Sequence[int], label: int | None, missing: str):
        if missing not in MISSING_POLICIES:
            raise ValueError(
                f"missing must be one of {list(MISSING_POLICIES)}. Received: {missing!r}"
            )
        self.table, self.columns, self.label, self.missing = table, list(columns), label, missing
        self.rows = self.dropped = 0

    @property
    def dropped_text(self) -> str:
        """How many rows were left out, in words."""
        return f"{self.dropped} of {self.rows} rows, which have missing values"

    def __iter__(self):
        self.rows = self.dropped = 0
        size = max(1, _CHUNK_ELEMENTS // len(self.columns))
        batches = self.table.batches(self.columns, self.label, size)
        for x, labels in batches:
            gaps = self._gaps(x, labels)
            numbers = np.arange(self.rows, self.rows + len(x))
            incomplete = gaps.any(axis=1)
            if self.missing == "nan":
                x = np.where(np.isfinite(x), x, np.float32(np.nan))
                incomplete = np.zeros(len(x), bool)
            self._refuse_infinite(x)
            if incomplete.any():
                if self.missing == "refuse":
                    self._refuse_missing(gaps, batches)
                self.dropped += int(incomplete.sum())
                x, numbers = x[~incomplete], numbers[~incomplete]
                labels = None if labels is None else labels[~incomplete]
            self.rows += len(gaps)
            yield x, labels, numbers
        if self.rows == self.dropped:
            raise ValueError(
                f"{self.table.path} has no rows" + " without missing values" * bool(self.rows)
            )

    @staticmethod
    def _gaps(x, labels):
        gaps = np.isnan(x)
        return (
            gaps if labels is None else np.column_stack([gaps, [label is None for label in labels]])
        )

    def _name(self, column):
        return self.table.names[[*self.columns, self.label][column]]

    def _refuse_infinite(self, x):
        if np.isinf(x).any():
            row, column = np.argwhere(np.isinf(x))[0]
            raise ValueError(
                f"{self.table.path}, {self.table.place(self.rows + row)}, column "
                f"{self._name(column)!r}: infinite, or too large for float32"
            )

    def _refuse_missing(self, gaps, batches):
        row, column = np.argwhere(gaps)[0]
        place = f"{self.table.place(self.rows + row)}, column {self._name(column)!r}"
        values, rows = int(gaps.sum()), int(gaps.any(axis=1).sum())
        for x, labels in batches:
            gaps = self._gaps(x, labels)
            values, rows = values + int(gaps.sum()), rows + int(gaps.any(axis=1).sum())
        raise ValueError(
            f"{self.table.path} has {values} missing values in {rows} rows, the first in {place}; "
            "missing='drop' leaves these rows out"
        )
