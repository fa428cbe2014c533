"""CSV files as columns of text, in bounded memory."""

import csv
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfflows.datasets.readers.csv import refuse_repeated
from tfflows.utils.damage import damage_named, one_line, shortened

# What stands for a missing cell: pandas' own list, and UCI's "?".
MISSING_MARKS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?"),
)
_DELIMITERS = ",;\t|"


@dataclasses.dataclass(frozen=True)
class CsvFile:
    """A file of text in UTF-8 whose first line holds the names of its columns.

    Attributes:
        path: the file.
        names: of the columns.
        delimiter: a comma, or a semicolon, tab or bar where the first line has no comma.
    """

    path: Path
    names: tuple[str, ...]
    delimiter: str

    @classmethod
    def open(cls, path: Path) -> "CsvFile":
        """Read the first line.

        Raises:
            ValueError: the file is empty, or its first line holds numbers or a name twice.
        """
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = file.readline()
        delimiter = "," if "," in first else max(_DELIMITERS, key=first.count)
        names = tuple(name.strip() for name in next(csv.reader([first], delimiter=delimiter), ()))
        if not names:
            raise ValueError(f"{path}: expected names of columns in the first line. Received: none")
        if any(map(_is_number, names)):
            raise ValueError(
                f"{path}: expected names of columns in the first line. "
                f"Received: {shortened(first.strip(), 100)}"
            )
        refuse_repeated(path, names)
        return cls(path, names, delimiter)

    def batches(self, names: Sequence[str], numbers: Mapping[str, str]) -> Iterator[Any]:
        """Arrow RecordBatches of text, and of numbers in the columns that `numbers` gives dtypes.

        Raises:
            ValueError: a row of another length, by its line, or a cell that is not such a number.
        """
        import pyarrow as pa
        import pyarrow.csv

        types = {name: pa.type_for_alias(numbers.get(name, "string")) for name in self.names}
        try:
            yield from pyarrow.csv.open_csv(
                self.path,
                read_options=pyarrow.csv.ReadOptions(
                    column_names=list(self.names), skip_rows_after_names=1, block_size=2**22
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=self.delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=len(self.names) > 1,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=types,
                    include_columns=list(names),
                    null_values=list(MISSING_MARKS),
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowException as error:
            self._refuse_ragged()
            raise ValueError(f"{self.path} is not a CSV file: {one_line(error)}") from error

    def line(self, row: int) -> int:
        """The line on which data row `row`, counted from 0, ends."""
        for place, _ in itertools.islice(self._rows(), row, None):
            return place
        return row + 2

    def _refuse_ragged(self):
        for line, row in self._rows():
            if len(row) != len(self.names):
                raise ValueError(
                    f"{self.path}, line {line}: expected {len(self.names)} values, as in the "
                    f"first line. Received: {len(row)} values, {shortened(','.join(row))}"
                )

    def _rows(self):
        with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            with damage_named(self.path, "is not a CSV file"):
                next(reader)
                for row in reader:
                    if row or len(self.names) == 1:
                        yield reader.line_num, row or [""]


def text_column(texts: Any) -> Any:
    """A categorical pandas Series of an Arrow array of text: stripped, with marks as missing."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = texts.dictionary_encode()
    names = pc.utf8_trim_whitespace(encoded.dictionary)
    names = pc.if_else(pc.is_in(names, pa.array(MISSING_MARKS)), None, names)
    codes, categories = pd.factorize(names.to_numpy(zero_copy_only=False))
    places = np.append(codes, -1).astype("int32")[encoded.indices.to_numpy()]
    return pd.Series(pd.Categorical.from_codes(places, pd.Index(categories, dtype=object)))


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "infinity")
