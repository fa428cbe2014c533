"""Tables of numbers from .csv, .parquet, .npy and .npz files, read in bounded memory."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfflows.datasets.readers.columns import choose_columns
from tfflows.datasets.readers.csv import CsvTable
from tfflows.datasets.readers.dequantize import UniformNoise
from tfflows.datasets.readers.float32 import refuse_merged
from tfflows.datasets.readers.npy import ArrayTable
from tfflows.datasets.readers.parquet import ParquetTable
from tfflows.utils.suggest import nearest

SUFFIXES = (".csv", ".parquet", ".npy", ".npz")
Table = CsvTable | ParquetTable | ArrayTable
MISSING_POLICIES = ("refuse", "drop", "nan")
_CHUNK_ELEMENTS = 2**18
# One row in so many is compared with its value in float32.
_COMPARED_EVERY = 25


def stream_table(
    path: str | Path,
    columns: Sequence[str | int] | None = None,
    batch_size: int = 4096,
    missing: str = "refuse",
    array: str | None = None,
    header: bool | None = None,
    exclude: Sequence[str | int] = (),
    dequantize: Sequence[str | int] = (),
    seed: int = 0,
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
        exclude: names or indices of columns to leave out where `columns` is None.
        dequantize: columns of whole numbers to add noise from [0, 1) to: `UniformNoise`.
        seed: of that noise.

    Yields:
        float32 `[<= batch_size, d]`; `[<= batch_size, *event]` from arrays of more axes.

    Raises:
        ValueError: no such column, a row of another length, not a number, a missing or infinite
            value: the first one by line (CSV) or row, counted from 1, and column. Columns whose
            values float32 cannot tell apart, by name. A damaged file.
        OSError: the file does not exist.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer. Received: {batch_size!r}")
    table = open_table(path, array, header)
    chosen = choose_columns(table, columns, exclude)
    noise = UniformNoise(table, chosen, dequantize, seed)
    reader = TableReader(table, chosen, None, missing, noise)
    event = (len(reader.columns),)
    if isinstance(table, ArrayTable) and len(table.shape) > 2:
        if columns is not None or len(exclude) or len(dequantize):
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


class TableReader:
    """Rows of chosen columns, with missing values refused, left out or made NaN.

    Infinite values are refused, or made NaN as well. Iterating gives (x float32 `[n, d]`, labels of
    str `[n]` or None, row numbers `[n]` from 0), in file order; `rows` and `dropped` count
    afterwards what was read and left out.

    Args:
        table: an open table.
        columns: places of the columns of x.
        label: place of the label, or None.
        missing: "refuse", "drop" or "nan".
        noise: what to add to columns of whole numbers, or None.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[int],
        label: int | None,
        missing: str,
        noise: UniformNoise | None = None,
    ):
        if missing not in MISSING_POLICIES:
            raise ValueError(
                f"missing must be one of {list(MISSING_POLICIES)}. Received: {missing!r}"
            )
        self.table, self.columns, self.label, self.missing = table, list(columns), label, missing
        self.noise = noise
        self.rows = self.dropped = 0

    @property
    def dropped_text(self) -> str:
        """How many rows were left out, in words."""
        return f"{self.dropped} of {self.rows} rows, which have missing values"

    def __iter__(self):
        self.rows = self.dropped = 0
        size, compared = max(1, _CHUNK_ELEMENTS // len(self.columns)), 0
        batches = self.table.batches(self.columns, self.label, size)
        for x, labels in batches:
            gaps = self._gaps(x, labels)
            numbers = np.arange(self.rows, self.rows + len(x))
            incomplete = gaps.any(axis=1)
            if self.missing == "nan":
                x = np.where(np.isfinite(x), x, np.nan)
                incomplete = np.zeros(len(x), bool)
            rounded = self._to_float32(x)
            self._refuse_infinite(rounded)
            if _COMPARED_EVERY * compared <= self.rows:
                compared += refuse_merged(self.table, self.columns, x)
            x = rounded if self.noise is None else self.noise.add(x, rounded, self.rows)
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
    def _to_float32(x):
        with np.errstate(over="ignore"):  # what overflows is refused by its place
            return x.astype("float32", copy=False)

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
