"""The rows of a table that a flow finds least likely, and which of their cells make them so."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfflows.tables.columns import Cells
from tfflows.tables.encoder import Encoded
from tfflows.tables.table_flow import TableFlow

_MAX_EVALUATIONS = 20_000
_BATCH = 4096


class UnlikelyRow(NamedTuple):
    """A row with a low density.

    Attributes:
        row: its number.
        log_prob: in nats.
        cells: the text of each column's cell.
        conditionals: log p(cell | the other cells of the row), `[D]`.
        surprises: how many nats each of them is below its column's median, `[D]`.
    """

    row: int
    log_prob: float
    cells: tuple[str, ...]
    conditionals: np.ndarray
    surprises: np.ndarray


def unlikely_rows(
    flow: TableFlow, cells: Mapping[str, Cells], log_prob: np.ndarray, count: int = 10
) -> list[UnlikelyRow]:
    """The least likely rows, the least first.

    Densities of columns in different units do not compare. A cell is therefore compared with the
    same column in other rows, whose median log-conditional is taken of evenly spread ones. A flow
    of one order conditions on the columns before each one, instead of on all others.

    Args:
        flow: a fitted flow.
        cells: of all columns.
        log_prob: of the rows, `[n]`.
        count: how many rows.
    """
    columns = len(flow.schema)
    chosen = np.argsort(log_prob, kind="stable")[:count]
    usual = np.unique(
        np.linspace(0, len(log_prob) - 1, max(20, _MAX_EVALUATIONS // columns)).astype(int)
    )
    encoded = flow.fitted_encoder.encode(_rows(cells, chosen))
    own = log_conditionals(flow, encoded)
    others = log_conditionals(flow, flow.fitted_encoder.encode(_rows(cells, usual)))
    frame = flow.schema.unparse(_rows(cells, chosen))
    surprises = np.median(others, axis=0) - own
    return [
        UnlikelyRow(
            int(row),
            float(log_prob[row]),
            tuple(_text(frame[name].iloc[place]) for name in flow.schema.names),
            own[place],
            surprises[place],
        )
        for place, row in enumerate(chosen)
    ]


def log_conditionals(flow: TableFlow, encoded: Encoded) -> np.ndarray:
    """log p(cell | the other cells) of each cell, `[n, D]`; before it, for a flow of one order."""
    rows, columns = encoded.codes.shape
    if flow.fixed_order is None:
        seen = ~np.eye(columns, dtype=bool)
        tails = _of_sets(flow, encoded, seen)
        return tails.reshape(rows, columns)
    # The tail after k columns is the sum of the conditionals from there on.
    seen = np.zeros((columns + 1, columns), bool)
    for k, place in enumerate(flow.fixed_order):
        seen[k + 1 :, place] = True
    tails = _of_sets(flow, encoded, seen).reshape(rows, columns + 1)
    result = np.empty((rows, columns))
    result[:, flow.fixed_order] = tails[:, :-1] - tails[:, 1:]
    return result


def _of_sets(flow, encoded, seen):
    """log p(the others | seen) of each row for each set of seen columns."""
    rows, size = len(encoded.codes), max(1, _BATCH // len(seen))
    parts = []
    for start in range(0, rows, size):  # wide tables have no room for all at once
        part = Encoded(*(np.repeat(a[start : start + size], len(seen), 0) for a in encoded))
        sets = np.tile(seen, (len(part.codes) // len(seen), 1)).astype("float32")
        parts.append(flow.log_prob_of_encoded(part, sets))
    return np.concatenate(parts)


def _rows(cells, rows):
    return {name: Cells(c.values[rows], c.missing[rows]) for name, c in cells.items()}


def _text(value):
    """A cell as people read it."""
    import pandas as pd

    if pd.isna(value):
        return "missing"
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
