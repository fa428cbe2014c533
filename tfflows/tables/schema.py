"""What the columns of a table are: the kind of each, and what it may hold."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfflows.tables.columns import Cells, Column, column_from_config
from tfflows.tables.parsing import parse_column
from tfflows.tables.rows import Rows
from tfflows.tables.sources import to_frame
from tfflows.tables.unparsing import unparse_column
from tfflows.utils.damage import shortened
from tfflows.utils.suggest import nearest


class Schema:
    """The columns of a table, in order.

    Args:
        columns: one per column of the table; their names differ.

    Raises:
        ValueError: two columns have the same name, or there is none.

    Example:
        >>> schema = Schema([Integer("age", low=0), Category("sex", ("Female", "Male"))])
        >>> cells = schema.parse({"age": [39, 50], "sex": ["Male", "Female"]})
        >>> cells["sex"].values
        array([1, 0])
    """

    def __init__(self, columns: Sequence[Column]):
        self._columns = tuple(columns)
        for column in self._columns:
            if not isinstance(column, Column):
                raise ValueError(
                    f"Expected `columns` to be columns such as tables.Real('x'). "
                    f"Received: {shortened(column)}"
                )
        if not self._columns:
            raise ValueError("Expected `columns` to hold at least one column. Received: none")
        counts = Counter(self.names)
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            raise ValueError(
                f"Expected columns of different names. Received: {shortened(repeated, 200)} twice"
            )
        self._by_name = {column.name: column for column in self._columns}

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in order."""
        return self._columns

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(column.name for column in self._columns)

    def __getitem__(self, name: str) -> Column:
        if name not in self._by_name:
            raise KeyError(
                f"Expected one of the columns {shortened(list(self.names), 200)}. "
                f"Received: {name!r}{nearest(str(name), self.names)}"
            )
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __len__(self) -> int:
        return len(self._columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self._columns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self._columns == other._columns

    def __hash__(self) -> int:
        return hash(self._columns)

    def parse(
        self, data: Any, columns: Sequence[str] | None = None, allow_missing: bool = False
    ) -> dict[str, Cells]:
        """The cells of a whole table, every one checked.

        Args:
            data: a pandas DataFrame or a dict of arrays. Columns that the schema does not name are
                left out.
            columns: names of the columns to parse; None takes all.
            allow_missing: whether cells may be missing in any column.

        Returns:
            Cells of each column, in the schema's order.

        Raises:
            ValueError: a column that is not in the data, or a cell that its column does not allow,
                by its row and column.
        """
        wanted = self._wanted(columns)
        frame = to_frame(data, [column.name for column in wanted])
        rows = Rows()
        return {
            column.name: parse_column(column, frame[column.name], rows, allow_missing)
            for column in wanted
        }

    def unparse(self, cells: Mapping[str, Cells], to: str = "pandas") -> Any:
        """Cells as data again: the same names, dtypes, categories and date formats.

        Args:
            cells: of some or all columns, as `parse` gives them.
            to: "pandas" for a DataFrame, "dict" for NumPy arrays, "arrow" for a Table.

        Returns:
            The table, its columns in the schema's order.
        """
        import pandas as pd

        if to not in ("pandas", "dict", "arrow"):
            raise ValueError(f"Expected `to` to be 'pandas', 'dict' or 'arrow'. Received: {to!r}")
        columns = self._wanted(list(cells))
        frame = pd.DataFrame({c.name: unparse_column(c, cells[c.name]) for c in columns})
        if to == "arrow":
            import pyarrow as pa

            return pa.Table.from_pandas(frame, preserve_index=False)
        return frame if to == "pandas" else {name: np.asarray(frame[name]) for name in frame}

    def _wanted(self, names):
        for name in names or ():
            self[name]
        chosen = set(self.names if names is None else names)
        return [column for column in self._columns if column.name in chosen]

    def replace(self, **columns: Column) -> "Schema":
        """A schema with other columns in the place of those of the given names."""
        for name in columns:
            self[name]
        return Schema([columns.get(column.name, column) for column in self._columns])

    def get_config(self) -> dict[str, Any]:
        """The schema as JSON can hold it."""
        return {"columns": [column.get_config() for column in self._columns]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Schema":
        """The schema that `get_config` describes."""
        return cls([column_from_config(column) for column in config["columns"]])

    def __repr__(self) -> str:
        lines = []
        width = max(map(len, self.names))
        for column in self._columns:
            config = column.get_config()
            details = [f"{k}={shortened(v)}" for k, v in config.items() if k not in _SHOWN]
            lines.append(f"  {column.name:{width}}  {column.kind:9} {', '.join(details)}".rstrip())
        return "\n".join([f"Schema of {len(self)} columns", *lines])


_SHOWN = ("kind", "name")
