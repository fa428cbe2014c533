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
            raise ValueError(f"{path} is no Parquet file: {error}") from error

    def batches(self, columns: Sequence[int], label: int | None, rows: int):
        """As `CsvTable.batches`."""
        import pyarrow as pa
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(self.path) as file:
            for i in columns:
                kind = file.schema_arrow.field(i).type
                if not (
                    pa.types.is_integer(kind)
                    or pa.types.is_floating(kind)
                    or pa.types.is_boolean(kind)
                    or pa.types.is_decimal(kind)
                ):
                    raise ValueError(
                        f"{self.path}, column {self.names[i]!r}: wanted numbers. Received: {kind}. "
                        "Choose the columns of numbers by columns="
                    )
            wanted = [self.names[i] for i in [*columns, *([] if label is None else [label])]]
            for batch in file.iter_batches(rows, columns=wanted):
                x = np.empty((batch.num_rows, len(columns)), "float32")
                for i in range(len(columns)):
                    numbers = batch.column(wanted[i]).cast(pa.float32(), safe=False)
                    x[:, i] = numbers.to_numpy(zero_copy_only=False)
                if label is None:
                    yield x, None
                else:
                    labels = batch.column(wanted[-1]).cast(pa.string())
                    yield x, labels.to_numpy(zero_copy_only=False)

    def place(self, row: int) -> str:
        """As `CsvTable.place`."""
        return f"row {row + 1}"
