"""CSV files as batches of numbers: by pyarrow, and by hand where it must say what is wrong."""

import collections
import csv
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfflows.utils.damage import shortened

# What stands for a missing value; "?" is UCI's mark.
MISSING_MARKS = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?")
# Rows from a bad value on in which further columns of words are looked for.
_REPORTED_ROWS = 1000


@dataclasses.dataclass(frozen=True)
class CsvTable:
    """A comma-separated file in UTF-8 with one row per line.

    Attributes:
        path: the file.
        names: names of its columns; "0", "1", ... where it has no header.
        has_header: whether its first row holds the names.
        index: place of a column without a name that counts the rows from 0, as pandas writes its
            index, or None.
    """

    path: Path
    names: tuple[str, ...]
    has_header: bool
    index: int | None = None

    @classmethod
    def open(cls, path: Path, header: bool | None = None) -> "CsvTable":
        """Read the first two rows; ValueError where they do not tell whether there is a header.

        Args:
            path: the file.
            header: whether the first row holds the names. None: it does when it is all words, or
                when it has a word above a number; it does not when it is all numbers.
        """
        _refuse_other_kinds(path)
        with _reader(path) as (reader, _):
            first, *below = [*itertools.islice(reader, 1 + _REPORTED_ROWS)] or [[]]
        if not first:
            raise ValueError(f"{path} is empty, or its first line is")
        first = [cell.strip() for cell in first]
        if header is None:
            header = _is_header(path, first, below[0] if below else [])
        names = tuple(first) if header else tuple(map(str, range(len(first))))
        refuse_repeated(path, names)
        numbers = [row[0] for row in below if row]
        is_index = names[0] == "" and numbers == [str(i) for i in range(len(numbers))]
        return cls(path, names, header, 0 if is_index else None)

    def batches(
        self, columns: Sequence[int], label: int | None, rows: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """float64 `[n, columns]` with NaN where missing, and labels (str or None) `[n]`, n <= rows.

        Raises:
            ValueError: a row has the wrong length, or a value is not a number; by line and column.
        """
        import pyarrow as pa

        done = 0
        try:
            for batch in self._by_pyarrow(columns, label):
                for start in range(0, batch.num_rows, rows):
                    part = batch.slice(start, rows)
                    yield _to_numpy(part, len(columns), label is not None)
                    done += part.num_rows
        except (pa.ArrowException, OSError):  # says neither line nor column, and refuses " NA"
            yield from self._by_hand(columns, label, rows, done)

    def place(self, row: int) -> str:
        """Where data row `row`, counted from 0, stands in the file."""
        with _reader(self.path) as (reader, lines):
            next(itertools.islice(self._data(reader), row, None))
            return f"line {lines()}"

    def _by_pyarrow(self, columns, label):
        import pyarrow as pa
        import pyarrow.csv

        types = {self.names[i]: pa.float64() for i in columns}
        if label is not None:
            types[self.names[label]] = pa.string()
        return pyarrow.csv.open_csv(
            self.path,
            read_options=pyarrow.csv.ReadOptions(
                column_names=list(self.names), skip_rows_after_names=int(self.has_header)
            ),
            # In a table of one column an empty line is a missing value.
            parse_options=pyarrow.csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=len(self.names) > 1
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=list(MISSING_MARKS),
                strings_can_be_null=True,
            ),
        )

    def _by_hand(self, columns, label, rows, skip):
        with _reader(self.path) as (reader, lines):
            data = itertools.islice(self._data(reader), skip, None)
            while chunk := [
                self._parse(row, data, columns, label, lines)
                for row in itertools.islice(data, rows)
            ]:
                x = np.asarray([numbers for numbers, _ in chunk], "float64")
                labels = np.asarray([text for _, text in chunk], object)
                yield x.reshape(len(chunk), len(columns)), None if label is None else labels

    def _data(self, reader):
        rows = (row or [""] for row in reader if row or len(self.names) == 1)
        return itertools.islice(rows, int(self.has_header), None)

    def _parse(self, row, later, columns, label, lines):
        if len(row) != len(self.names):
            raise ValueError(
                f"{self.path}, line {lines()}: expected {len(self.names)} values, as in the "
                f"first row. Received: {len(row)} values, {shortened(','.join(row))}"
            )
        numbers = [_number(row[i]) for i in columns]
        if None in numbers:
            column, place = columns[numbers.index(None)], f"{self.path}, line {lines()}"
            words = self._columns_of_words(row, later, columns)
            raise ValueError(
                f"{place}, column {self.names[column]!r}: expected a number. "
                f"Received: {shortened(row[column])}. Choose the columns of numbers by columns=, "
                f"or leave out those of words by exclude={shortened(words, 200)}"
                + "; write True and False as 1 and 0"
                * (row[column].strip() in ("True", "False"))
            )
        if label is None:
            return numbers, None
        text = row[label].strip()
        if "\ufffd" in text:  # two classes could be taken for one
            raise ValueError(
                f"{self.path}, line {lines()}, column {self.names[label]!r}: not UTF-8 text"
            )
        return numbers, None if text in MISSING_MARKS else text

    def _columns_of_words(self, row, later, columns):
        """Names of the columns in which this row or one of the next holds no number."""
        rows = [row, *itertools.islice(later, _REPORTED_ROWS)]
        rows = [row for row in rows if len(row) == len(self.names)]
        return [self.names[i] for i in columns if any(_number(row[i]) is None for row in rows)]


def refuse_repeated(path: Path, names: Sequence[str]) -> None:
    """ValueError for columns of the same name."""
    counts = collections.Counter(names)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise ValueError(f"{path} has several columns of the same name: {shortened(repeated, 200)}")


def _refuse_other_kinds(path: Path) -> None:
    """ValueError for a file of another kind that is named .csv."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, kind in ((b"PAR1", "Parquet"), (b"\x93NUM", ".npy"), (b"PK\x03\x04", "zip")):
        if start == mark:
            raise ValueError(
                f"{path} is not a CSV file: it begins as a {kind} file does; give it that suffix"
            )


class _reader:
    """Context of a csv.reader and a function that gives the line it is at."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        self._file = open(self._path, newline="", encoding="utf-8-sig", errors="replace")
        reader = csv.reader(self._file)
        return reader, lambda: reader.line_num

    def __exit__(self, kind, error, trace):
        self._file.close()
        if kind is not None and issubclass(kind, csv.Error):
            raise ValueError(f"{self._path} is not a CSV file: {error}") from error


def _is_header(path, first, second):
    is_number = [_number(cell) is not None for cell in first]
    if all(is_number) or not any(is_number):
        return not any(is_number)
    below = [_number(cell) is not None for cell in second]
    if any(b and not a for a, b in zip(is_number, below, strict=False)):
        return True
    raise ValueError(
        f"{path}: the first row has numbers and words, so that it may hold the names of the "
        f"columns or data; give header=True or header=False. Received: {shortened(first)}"
    )


def _number(text):
    """The float, NaN for a missing value, None for text that is not a number."""
    text = text.strip()
    if text in MISSING_MARKS:
        return math.nan
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _to_numpy(batch, num_columns, has_label):
    import pyarrow.compute as pc

    x = np.empty((batch.num_rows, num_columns), "float64")
    for i in range(num_columns):
        x[:, i] = batch.column(i).to_numpy(zero_copy_only=False)  # nulls become NaN
    if not has_label:
        return x, None
    labels = pc.utf8_trim_whitespace(batch.column(num_columns))
    return x, labels.to_numpy(zero_copy_only=False)
