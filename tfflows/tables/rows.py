"""Where rows come from, as messages name them."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Rows:
    """Consecutive rows of some source.

    Attributes:
        first: number of the first row, counted from 0.
        source: the file, or nothing for a table in memory.
        line: the line of a row in a text file.
    """

    first: int = 0
    source: str = ""
    line: Callable[[int], int] | None = None

    def place(self, row: int, column: str) -> str:
        """Where a cell stands; `row` counts from 0 within these rows."""
        number = self.first + int(row)
        spot = f"row {number}" if self.line is None else f"line {self.line(number)}"
        return f"{self.source}{', ' * bool(self.source)}{spot}, column {column!r}"
