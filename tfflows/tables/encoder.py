"""Cells of a table as the numbers that a TableFlow computes with, and back."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfflows.tables.columns import Category, Cells, Coded, Column, Dense
from tfflows.tables.marginal import Marginal, fit_marginal
from tfflows.tables.schema import Schema


class Encoded(NamedTuple):
    """Rows of a table.

    Attributes:
        codes: int32 `[n, columns]`. Of a column of codes its code, and `num_codes` for "missing".
            Of a column of numbers 0 for a number, 1, 2, ... for its atoms, then "missing".
        numbers: float32 `[n, number columns, 4]`: z, lower edge, upper edge and log width of
            `Marginal.cells`; zeros where the code is not 0.
    """

    codes: np.ndarray
    numbers: np.ndarray


def num_codes(column: Column) -> int:
    """How many codes a column has in `Encoded`, "missing" among them."""
    if isinstance(column, Coded):
        return column.num_codes + column.missing
    return 1 + len(atoms_of(column)) + column.missing


def atoms_of(column: Column) -> Sequence[float]:
    """The values of a column of numbers that have a mass of their own."""
    return column.atoms if isinstance(column, Dense) else ()


class Encoder:
    """Cells to `Encoded` and back, by the marginals of the training data.

    Args:
        schema: of the table.
        marginals: one per column of numbers, in order.
    """

    def __init__(self, schema: Schema, marginals: Sequence[Marginal]):
        self.schema = schema
        self.marginals = list(marginals)

    @classmethod
    def fit(cls, schema: Schema, cells: Mapping[str, Cells]) -> "Encoder":
        """The encoder of training cells."""
        marginals = []
        for column in number_columns(schema):
            values, missing = cells[column.name]
            plain = ~missing & ~np.isin(values, atoms_of(column))
            marginals.append(fit_marginal(column, values[plain]))
        return cls(schema, marginals)

    def encode(self, cells: Mapping[str, Cells]) -> Encoded:
        """Rows of the cells; columns that are not there, and cells that may not be missing but are,
        get code 0."""
        rows = len(next(iter(cells.values())).values) if cells else 0
        codes = np.zeros((rows, len(self.schema)), "int32")
        numbers = np.zeros((rows, len(self.marginals), 4), "float32")
        places = {m.column.name: place for place, m in enumerate(self.marginals)}
        for i, column in enumerate(self.schema):
            if column.name not in cells:
                continue
            if column.name in places:
                place = places[column.name]
                codes[:, i], numbers[:, place] = self._encode_numbers(place, cells[column.name])
            else:
                codes[:, i] = cells[column.name].values
            if column.missing:
                codes[cells[column.name].missing, i] = num_codes(column) - 1
        return Encoded(codes, numbers)

    def _encode_numbers(self, place, cells):
        marginal = self.marginals[place]
        codes = np.zeros(len(cells.values), "int32")
        for number, atom in enumerate(atoms_of(marginal.column)):
            codes[cells.values == atom] = 1 + number
        plain = (codes == 0) & ~cells.missing
        numbers = np.zeros((len(codes), 4), "float32")
        x = (cells.values[plain] - marginal.origin).astype("float64")
        numbers[plain] = np.stack(marginal.cells(x), axis=1)
        return codes, numbers

    def decode(self, codes: np.ndarray, z: np.ndarray, seed: int = 0) -> dict[str, Cells]:
        """Cells of codes `[n, columns]` and z `[n, number columns]` of drawn rows.

        float32 has fewer digits than a time in seconds: digits beyond it are drawn by `seed`.
        """
        noise = np.random.default_rng(seed)
        cells, place = {}, 0
        for i, column in enumerate(self.schema):
            missing = np.zeros(len(codes), bool)
            if column.missing:
                missing = codes[:, i] == num_codes(column) - 1
            if isinstance(column, Coded):
                values = codes[:, i].astype("int64")
            else:
                values = self._decode_numbers(place, codes[:, i], z[:, place], noise)
                place += 1
            cells[column.name] = Cells(np.where(missing, 0, values), missing)
        return cells

    def _decode_numbers(self, place, codes, z, noise):
        marginal = self.marginals[place]
        z = np.asarray(z, "float32")
        spread = (noise.random(len(z)) - 0.5) * np.spacing(np.abs(z)).astype("float64")
        x = np.asarray(marginal.inverse(z.astype("float64") + spread))
        if marginal.is_whole:
            low, high = marginal.whole_bounds
            # Beyond 2**62 the sum with the origin would leave int64.
            steps = np.rint(np.clip(x, -(2.0**62), 2.0**62)).astype("int64") + marginal.origin
            return np.clip(steps, low, high) if (low, high) != (None, None) else steps
        for number, atom in enumerate(atoms_of(marginal.column)):
            x = np.where(codes == 1 + number, atom, x)
        return x

    def get_config(self) -> dict[str, Any]:
        """The schema and the marginals, as JSON can hold them."""
        marginals = [marginal.get_config() for marginal in self.marginals]
        return {"schema": self.schema.get_config(), "marginals": marginals}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Encoder":
        """The encoder of `get_config`."""
        schema = Schema.from_config(config["schema"])
        pairs = zip(number_columns(schema), config["marginals"], strict=True)
        return cls(schema, [Marginal.from_config(column, c) for column, c in pairs])


def number_columns(schema: Schema) -> list[Column]:
    """The columns of numbers, in order."""
    return [column for column in schema if not isinstance(column, Coded)]


def has_other(column: Column) -> bool:
    """Whether cells that training did not see have a code of their own."""
    return isinstance(column, Category) and column.other
