"""Names of the data that a flow was trained on: columns, classes, conditions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfflows.utils.suggest import nearest


@dataclasses.dataclass(frozen=True)
class DataSchema:
    """Names that go with a flow, so that later data are matched by name.

    Example:
        flow = tfflows.models.RealNVP((2,), num_couplings=2)
        flow.data_schema = tfflows.datasets.DataSchema(columns=("height", "width"))
        flow.save("plants.keras")  # with the names

    Attributes:
        columns: names of the columns of x, in order; "0", "1", ... where they have none.
        label: name of the column that holds the classes.
        classes: names of the classes, in the order of the one-hot condition.
        condition_columns: names of the columns of a condition of numbers, in order.
        dequantized: names of the columns of whole numbers to which noise from [0, 1) was added.
    """

    columns: tuple[str, ...] | None = None
    label: str | None = None
    classes: tuple[str, ...] | None = None
    condition_columns: tuple[str, ...] | None = None
    dequantized: tuple[str, ...] | None = None

    def __bool__(self) -> bool:
        return self != DataSchema()

    def get_config(self) -> dict[str, Any]:
        """The names that there are, as JSON holds them."""
        fields = dataclasses.asdict(self).items()
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in fields
            if value is not None
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "DataSchema":
        """The schema of `get_config`."""
        lists: dict[str, Any] = {k: tuple(v) for k, v in config.items() if k != "label"}
        return cls(label=config.get("label"), **lists)

    def find_columns(self, names: Sequence[str], source: str) -> list[str] | None:
        """Which columns of a table are x: those of the same names, or None for all in order.

        Tables without names, here or in training, are taken in order.

        Args:
            names: of the table's columns; "0", "1", ... where they have none.
            source: what the table is called in an error.

        Raises:
            ValueError: a column is missing.
        """
        if self.columns is None or (_are_numbers(self.columns) and _are_numbers(names)):
            return None
        missing = [name for name in self.columns if name not in names]
        if not missing:
            return list(self.columns)
        if _are_numbers(names) or _are_numbers(self.columns):
            return None
        others = [name for name in names if name not in self.columns]
        raise ValueError(
            f"{source} lacks {len(missing)} of the {len(self.columns)} columns that the model was "
            f"trained on: {', '.join(map(repr, missing[:10]))}{nearest(missing[0], others)}"
        )

    def with_columns_of(self, data: Any) -> "DataSchema":
        """The schema with the names of the tables in data, where it has none yet."""
        x, condition = _parts(data)
        return dataclasses.replace(
            self,
            columns=self.columns or _table_names(x, named=True),
            condition_columns=self.condition_columns or _table_names(condition, named=True),
        )

    def in_order(self, data: Any) -> Any:
        """Data whose tables of pandas or polars have their columns found by their names.

        Args:
            data: x, (x, condition) or a dict of them; what is not such a table stays as it is.

        Raises:
            ValueError: a column is missing.
        """
        if isinstance(data, dict):
            columns = {"x": self.columns, "condition": self.condition_columns}
            return {key: _arranged(value, columns.get(key)) for key, value in data.items()}
        if isinstance(data, tuple):
            columns = self.columns, self.condition_columns
            parts = (_arranged(*pair) for pair in zip(data, columns, strict=False))
            return (*parts, *data[2:])
        return _arranged(data, self.columns)

    def condition_in_order(self, condition: Any) -> Any:
        """As `in_order` for a condition by itself."""
        return _arranged(condition, self.condition_columns)

    def round_dequantized(self, x: np.ndarray) -> np.ndarray:
        """Samples `[n, columns]` with whole numbers in the columns that were dequantized."""
        if not self.dequantized or self.columns is None:
            return x
        chosen = np.isin(self.columns, self.dequantized)
        return np.where(chosen, np.floor(x), x)

    def class_number(self, name: str) -> int:
        """Place of a class in the one-hot condition, by its name.

        Raises:
            ValueError: there is no such class; the nearest ones are named.
        """
        classes = self.classes or ()
        if name not in classes:
            raise ValueError(
                f"There is no class {name!r}{nearest(name, classes)}; the model was trained on "
                f"{', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''}"
            )
        return classes.index(name)


def _parts(data):
    """x and the condition, or None."""
    if isinstance(data, dict):
        return data.get("x"), data.get("condition")
    return (*data, None, None)[:2] if isinstance(data, tuple) else (data, None)


def _arranged(table, columns):
    """A table's columns in the order of their names; what is not a table as it is."""
    names = _table_names(table)
    found = None if names is None else DataSchema(columns).find_columns(names, "The table")
    if names is None or found is None or found == list(names):
        return table
    return table[[table.columns[names.index(name)] for name in found]]


def _table_names(x, named=False):
    """Names of the columns of a table of pandas or polars; None for anything else.

    `named` gives None for a table whose columns are numbers, too.
    """
    if not hasattr(x, "columns") or not hasattr(x, "to_numpy"):
        return None
    names = tuple(str(name) for name in x.columns)
    return None if named and _are_numbers(names) else names


def _are_numbers(names):
    return tuple(names) == tuple(map(str, range(len(names))))
