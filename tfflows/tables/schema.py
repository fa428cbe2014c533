"""What the columns of a table are: the kind of each, and what it may hold."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.tables import schema_yaml
from tfflows.tables.columns import Cells, Column, Dense, Integer
from tfflows.tables.inference import infer_columns
from tfflows.tables.kinds import change_kind, column_from_config
from tfflows.tables.parsing import csv_dtype, parse_column
from tfflows.tables.sources import ROWS_PER_CHUNK, chunks
from tfflows.tables.unparsing import unparse_column
from tfflows.utils.atomic import replaced_on_success
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

    @classmethod
    def infer(cls, data: Any, /, **overrides: Column | str | None) -> "Schema":
        """Guess the columns of a table from all of its rows, read once in bounded memory.

        Every row that it saw fits the schema. The rules are in `tfflows.tables.inference`; print
        the schema, and put right by `overrides` or in the YAML what you know better.

        Args:
            data: a table or files: `tfflows.tables.sources.chunks` names what they may be.
            **overrides: by column: the kind, such as "category"; the whole column; or None to
                leave it out.

        Raises:
            ValueError: a table of fewer than two rows, a column without a value, one that mixes
                numbers and text, text that hardly repeats, an infinite number, an unknown name.

        Example:
            >>> Schema.infer({"age": [39, 50, 38], "sex": ["Male", "Male", "Female"]}, age="real")
            Schema of 2 columns
              age  real      dtype='int64'
              sex  category  dtype='object', values=['Female', 'Male']
        """
        return cls(infer_columns(data, overrides))

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
            data: a table or files: `tfflows.tables.sources.chunks` names what they may be. Columns
                that the schema does not name are left out.
            columns: names of the columns to parse; None takes all.
            allow_missing: whether cells may be missing in any column.

        Returns:
            Cells of each column, in the schema's order.

        Raises:
            ValueError: a column that is not in the data, or a cell that its column does not allow,
                by its row and column.
        """
        parts = list(self._read(data, None, columns, allow_missing))
        names = [column.name for column in self._wanted(columns)]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            dtypes = {
                name: "float64" if isinstance(self[name], Dense) else "int64" for name in names
            }
            return {name: Cells(np.zeros(0, dtypes[name]), np.zeros(0, bool)) for name in names}
        return {
            name: Cells(*map(np.concatenate, zip(*(part[name] for part in parts), strict=True)))
            for name in names
        }

    def _no_cells(self, name):
        values = np.zeros(0, "float64" if isinstance(self[name], Dense) else "int64")
        return Cells(values, np.zeros(0, bool))

    def read(
        self,
        data: Any,
        rows: int = ROWS_PER_CHUNK,
        columns: Sequence[str] | None = None,
        allow_missing: bool = False,
    ) -> Iterator[dict[str, Cells]]:
        """The cells of a table in order, chunk by chunk; few chunks are in memory at a time.

        Args:
            data, columns, allow_missing: as for `parse`.
            rows: of every chunk but the last of a table or file.
        """
        yield from self._read(data, rows, columns, allow_missing)

    def _read(self, data, rows, columns, allow_missing):
        wanted = self._wanted(columns)
        numbers = {c.name: csv_dtype(c) for c in wanted if isinstance(c, Dense | Integer)}
        for chunk in chunks(data, [column.name for column in wanted], rows, numbers):
            yield {
                column.name: parse_column(
                    column, chunk.columns[column.name], chunk.rows, allow_missing
                )
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

    def replace(self, **columns: Column | str | None) -> "Schema":
        """A schema with some columns changed.

        Args:
            **columns: by the name of a column: another column, which may have another name; None
                to leave it out; or a kind that requires nothing that the column does not say, such
                as "real" for an integer, or "ordinal" for a category.

        Raises:
            KeyError: there is no such column.
            ValueError: the kind requires what the column does not say.
        """
        changed = {}
        for name, new in columns.items():
            changed[name] = change_kind(self[name], new) if isinstance(new, str) else new
        return Schema([c for c in (changed.get(c.name, c) for c in self._columns) if c is not None])

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The schema as YAML to read and edit, which is written to `path` as well."""
        text = schema_yaml.dump(self._columns)
        if path is not None:
            with replaced_on_success(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_yaml(cls, source: str | Path) -> "Schema":
        """The schema of a YAML file, or of text with more than one line.

        Raises:
            ValueError: text that is not YAML, an unknown kind or key, with the nearest one, or a
                value that does not fit; in one line.
            FileNotFoundError: there is no such file.
        """
        is_text = isinstance(source, str) and "\n" in source
        text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
        return cls(schema_yaml.load(text, "the YAML" if is_text else str(source)))

    def get_config(self) -> dict[str, Any]:
        """The schema as JSON can hold it."""
        return {"columns": [column.get_config() for column in self._columns]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Schema":
        """The schema that `get_config` describes.

        Raises:
            ValueError: an unknown kind or key, or a value that does not fit.
        """
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
