"""Parquet files as batches of numbers."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfflows.datasets.readers.csv import refuse_repeated
from tfflows.utils.damage import check_expansion, cut, damage_named, shortened

# pandas' index, where it has no name.
_INDEX = "__index_level_0__"


@dataclasses.dataclass(frozen=True)
class ParquetTable:
    """A flat Parquet file.

    Attributes:
        path: the file.
        names: names of its columns.
        index: place of the column in which pandas wrote an index without a name, or None.
    """

    path: Path
    names: tuple[str, ...]
    index: int | None = None

    @classmethod
    def open(cls, path: Path) -> "ParquetTable":
        """Read the schema."""
        import pyarrow.parquet

        with damage_named(path, "is not a Parquet file"):
            names = tuple(pyarrow.parquet.read_schema(path).names)
        if not names:
            raise ValueError(f"{path} has no columns")
        refuse_repeated(path, names)
        return cls(path, names, names.index(_INDEX) if _INDEX in names else None)

    def batches(self, columns: Sequence[int], label: int | None, rows: int) -> Iterator:
        """As `CsvTable.batches`."""
        import pyarrow.parquet

        with damage_named(self.path):
            file = pyarrow.parquet.ParquetFile(self.path)
        with file:
            with damage_named(self.path):
                kinds = [field.type for field in file.schema_arrow]
            self._refuse_kinds(kinds, columns, label)
            promised = 8 * len(columns) * file.metadata.num_rows
            check_expansion(self.path, promised, self.path.stat().st_size)
            with damage_named(self.path):
                yield from self._numbers(file, columns, label, rows)

    def place(self, row: int) -> str:
        """As `CsvTable.place`."""
        return f"row {row + 1}"

    def _refuse_kinds(self, kinds, columns, label):
        wrong = [i for i in columns if not _is_number(kinds[i])]
        if wrong:
            received = ", ".join(f"{self.names[i]!r} of {kinds[i]}" for i in wrong)
            raise ValueError(
                f"{self.path}: expected columns of numbers. Received: {cut(received)}. "
                "Choose the columns of numbers by columns=, or leave out these by "
                f"exclude={shortened([self.names[i] for i in wrong], 200)}"
            )
        if label is not None and not _is_label(kinds[label]):
            raise ValueError(
                f"{self.path}, label {self.names[label]!r}: expected whole numbers or words. "
                f"Received: {kinds[label]}"
            )

    def _numbers(self, file, columns, label, rows):
        import pyarrow as pa

        names = [self.names[i] for i in [*columns, *([] if label is None else [label])]]
        for batch in file.iter_batches(rows, columns=names):
            x = np.empty((batch.num_rows, len(columns)), "float64")
            for i in range(len(columns)):
                numbers = batch.column(names[i]).cast(pa.float64(), safe=False)
                x[:, i] = numbers.to_numpy(zero_copy_only=False)
            yield x, None if label is None else _words(batch.column(names[-1]))


def _is_number(kind):
    from pyarrow import types

    kinds = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    return any(is_kind(kind) for is_kind in kinds)


def _is_label(kind):
    from pyarrow import types

    if types.is_dictionary(kind):  # a categorical column of pandas
        kind = kind.value_type
    return _is_number(kind) or types.is_string(kind) or types.is_large_string(kind)


def _words(column):
    """str or None `[n]`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column.cast(pa.string()).to_numpy(zero_copy_only=False)
