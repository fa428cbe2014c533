"""Rows that satisfy conditions, drawn exactly."""

from typing import Any

import numpy as np

from tfflows.tables.columns import Cells
from tfflows.tables.conditions import Conditions
from tfflows.tables.table_flow import TableFlow

_BATCH, _MAX_BATCHES = 4096, 16


class ConditionalDraws:
    """Draws of p(row | conditions).

    Columns with one value are given. Columns with a range are drawn first, given these, until they
    are in their ranges; the rest of each row is drawn given all of them. Both steps are exact, so
    that the rows have the flow's own conditional density.

    Args:
        flow: a fitted flow.
        conditions: from `parse_conditions`.
        seed: of the draws; None takes a fresh one.
        max_draws: after so many draws of which none satisfied the ranges, it gives up.

    Attributes:
        num_drawn, num_accepted: draws of the columns with ranges, and those that were in them.

    Example:
        draws = ConditionalDraws(flow, parse_conditions(flow.schema, ["age:30..40"]), seed=0)
        frame = draws.sample(1000)
        draws.acceptance  # 0.26
    """

    def __init__(
        self,
        flow: TableFlow,
        conditions: Conditions,
        seed: int | None = None,
        max_draws: int = 1_000_000,
    ):
        self._flow, self._conditions, self._max_draws = flow, conditions, max_draws
        self._random = np.random.default_rng(seed)
        self.num_drawn = self.num_accepted = 0

    @property
    def acceptance(self) -> float:
        """The share of draws that satisfied the ranges; their probability, estimated."""
        return self.num_accepted / max(1, self.num_drawn)

    def sample(self, num_samples: int, to: str = "pandas") -> Any:
        """Draw rows, as `TableFlow.sample` gives them.

        Raises:
            ValueError: no draw satisfied the ranges.
        """
        given = self._repeated(num_samples)
        if self._conditions.ranges:
            given = self._in_ranges(num_samples)
        drawn = self._flow.sample_cells(num_samples, given, seed=self._seed())
        return self._flow.schema.unparse(drawn, to=to)

    def _in_ranges(self, num_samples) -> dict[str, Cells]:
        """Given and ranged columns of `num_samples` rows that satisfy the conditions."""
        parts, missing = [], num_samples
        while missing > 0:
            expected = missing / self.acceptance if self.num_accepted else missing
            # Whole batches, because each other number of rows would be compiled anew.
            size = _BATCH * int(min(_MAX_BATCHES, 1 + 1.1 * expected / _BATCH))
            ranges = self._conditions.ranges
            drawn = self._flow.sample_cells(
                size, self._repeated(size), list(ranges), seed=self._seed()
            )
            holds = np.all([r.holds(drawn[name]) for name, r in ranges.items()], axis=0)
            self.num_drawn += size
            self.num_accepted += int(holds.sum())
            if not self.num_accepted and self.num_drawn >= self._max_draws:
                raise ValueError(
                    f"Expected the ranges of {', '.join(ranges)} to have a probability. "
                    f"Received: none of {self.num_drawn:,} draws in them"
                )
            kept = np.flatnonzero(holds)[:missing]
            parts.append({n: Cells(c.values[kept], c.missing[kept]) for n, c in drawn.items()})
            missing -= len(kept)
        return {
            name: Cells(*map(np.concatenate, zip(*(part[name] for part in parts), strict=True)))
            for name in (parts[0] if parts else self._conditions.given)
        }

    def _repeated(self, rows):
        given = self._conditions.given
        return {n: Cells(*(np.repeat(part, rows) for part in cell)) for n, cell in given.items()}

    def _seed(self):
        return int(self._random.integers(2**63))
