"""Parquet files as batches of numbers."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class ParquetTable:
    """A flat Parquet file."""

    path: Path
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> "ParquetTable":
        """Read the schema."""
        import pyarrow as pa
        import pyarrow.parquet

        try:
            return cls(path, tuple(pyarrow.parquet.read_schema(path).names))
        except pa.ArrowException as error:
            raise ValueError(f"{path} is not a Parquet file: {error}") from error

    def batches(self, columns: Sequence[int], label: int | None, rows: int):
        """As `CsvTable.batches`."""
        import pyarrow as pa
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(self.path) as file:
            kinds = [field.type for field in file.schema_arrow]
            for i in columns:
                if not _is_number(kinds[i]):
                    raise ValueError(
                        f"{self.path}, column {self.names[i]!r}: expected numbers. Received: "
                        f"{kinds[i]}. Choose the columns of numbers by columns="
                    )
            if label is not None and not _is_label(kinds[label]):
                raise ValueError(
                    f"{self.path}, label {self.names[label]!r}: expected whole numbers or words. "
                    f"Received: {kinds[label]}"
                )
            names = [self.names[i] for i in [*columns, *([] if label is None else [label])]]
            for batch in file.iter_batches(rows, columns=names):
                x = np.empty((batch.num_rows, len(columns)), "float32")
                for i in range(len(columns)):
                    numbers = batch.column(names[i]).cast(pa.float32(), safe=False)
                    x[:, i] = numbers.to_numpy(zero_copy_only=False)
                yield x, None if label is None else _words(batch.column(names[-1]))

    def place(self, row: int) -> str:
        """As `CsvTable.place`."""
        return f"row {row + 1}"


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
