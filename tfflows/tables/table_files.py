"""Jobs on files of tables of any length: rows in order, a chunk in memory at a time."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfflows.tables.conditional_draws import ConditionalDraws
from tfflows.tables.encoder import Encoded
from tfflows.tables.given import places_of
from tfflows.tables.sources import chunks, files_of
from tfflows.tables.table_flow import TableFlow
from tfflows.utils.atomic import replaced_on_success

SUFFIXES = (".csv", ".parquet")
_ROWS = 16_384
Advance = Callable[[int], None]


class ScoredRow(NamedTuple):
    """A row of a file: its log-density in nats, its number from 0, its kept cells."""

    log_prob: float
    row: int
    kept: tuple[Any, ...]


def score_table(
    flow: TableFlow,
    data: str | Path,
    out: str | Path,
    given: Sequence[str] = (),
    num_orders: int = 1,
    keep: Sequence[str] = (),
    top: int = 0,
    advance: Advance | None = None,
) -> tuple[int, list[ScoredRow]]:
    """Write log p of each row of a file, in order.

    Args:
        flow: a fitted flow.
        data: a .csv or .parquet file, or a folder of them.
        out: a .csv or .parquet file with a column "log_prob", in nats.
        given, num_orders: as in `TableFlow.log_prob`.
        keep: columns of `data`, such as an id, that are written before the score.
        top: how many of the least likely rows to return.
        advance: is called with the number of rows that were done.

    Returns:
        How many rows there are, and the least likely ones, lowest first.

    Raises:
        ValueError: a cell does not fit the schema, by its row and column, or a wrong argument.
    """
    places = places_of(flow.schema, given)
    count, lowest = 0, []
    kept_parts = chunks(data, keep, _ROWS) if keep else None
    with _writing(data, out) as write:
        for cells in flow.schema.read(data, _ROWS):
            encoded = flow.fitted_encoder.encode(cells)
            scores = flow.log_prob_of_encoded(encoded, _seen(encoded, places), num_orders)
            kept = {} if kept_parts is None else _plain(next(kept_parts))
            write({**kept, "log_prob": scores})
            lowest = _lowest(lowest, scores, count, kept, top)
            count += len(scores)
            if advance is not None:
                advance(len(scores))
        _check_rows(count, data)
    return count, lowest


def _plain(chunk):
    """Columns of a chunk; each chunk of text has categories of its own, which files do not take."""
    return {n: c if chunk.dtypes[n] else c.astype(object) for n, c in chunk.columns.items()}


def _check_rows(count, data):
    if not count:
        raise ValueError(f"Expected {data} to have rows. Received: none")


def _seen(encoded: Encoded, places):
    seen = np.zeros(encoded.codes.shape, "float32")
    seen[:, places] = 1
    return seen


def _lowest(before, scores, first, kept, top):
    rows = np.argsort(scores, kind="stable")[:top]
    cells = list(kept.values())
    new = [
        ScoredRow(float(scores[i]), first + int(i), tuple(c.iloc[i] for c in cells)) for i in rows
    ]
    return sorted([*before, *new], key=lambda row: row[:2])[:top]


def impute_table(
    flow: TableFlow,
    data: str | Path,
    out: str | Path,
    num_draws: int = 1,
    seed: int = 0,
    num_orders: int = 1,
    advance: Advance | None = None,
) -> tuple[int, int]:
    """Write a table with its missing cells drawn given the others of their rows.

    All columns of `data` are written in their order; those that the schema does not name as they
    are. With more than one draw, each row is followed by its other draws, and the columns "row",
    from 0, and "draw", from 1, come first.

    Args:
        flow: a fitted flow.
        data: a .csv or .parquet file, or a folder of them.
        out: a .csv or .parquet file.
        num_draws: of each row.
        seed, num_orders: as in `TableFlow.impute`.
        advance: is called with the number of rows that were done.

    Returns:
        How many rows `data` has, and how many cells were missing.
    """
    first = next(chunks(data, rows=1), None)
    names = [] if first is None else list(first.columns)
    _check_rows(names, data)
    others = [name for name in names if name not in flow.schema]
    parts = chunks(data, others, _ROWS) if others else None
    random, count, holes = np.random.default_rng(seed), 0, 0
    with _writing(data, out) as write:
        for cells in flow.schema.read(data, _ROWS, allow_missing=True):
            size = len(next(iter(cells.values())).values)
            rows = np.repeat(np.arange(size), num_draws)
            holes += sum(int(cell.missing.sum()) for cell in cells.values())
            cells = {n: type(c)(c.values[rows], c.missing[rows]) for n, c in cells.items()}
            filled = flow.impute_cells(cells, int(random.integers(2**63)), num_orders)
            table = dict(flow.schema.unparse(filled))
            if parts is not None:
                rest = _plain(next(parts))
                table |= {n: rest[n].iloc[rows].reset_index(drop=True) for n in others}
            draw = {"row": count + rows, "draw": np.tile(np.arange(1, num_draws + 1), size)}
            write({**(draw if num_draws > 1 else {}), **{name: table[name] for name in names}})
            count += size
            if advance is not None:
                advance(size)
    return count, holes


def sample_table(
    draws: ConditionalDraws, num_samples: int, out: str | Path, advance: Advance | None = None
) -> None:
    """Write rows that satisfy conditions.

    Args:
        draws: of a flow and its conditions.
        num_samples: number of rows.
        out: a .csv or .parquet file.
        advance: is called with the number of rows that were done.
    """
    with _writing(None, out) as write:
        for start in range(0, num_samples, _ROWS):
            size = min(_ROWS, num_samples - start)
            write(dict(draws.sample(size)))
            if advance is not None:
                advance(size)


@contextlib.contextmanager
def _writing(data, out) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that appends columns to a file, which appears once it is whole."""
    if Path(out).suffix not in SUFFIXES:
        raise ValueError(f"A table is written to a file {' or '.join(SUFFIXES)}. Received: {out}")
    sources = [] if data is None else files_of(data)
    if Path(out).exists() and any(p.exists() and p.samefile(out) for p in sources):
        raise ValueError(f"Expected another file to write than the one to read. Received: {out}")
    with (
        replaced_on_success(out) as temporary,
        (_csv if temporary.suffix == ".csv" else _parquet)(temporary) as write,
    ):
        yield write


@contextlib.contextmanager
def _csv(path):
    import pandas as pd

    with path.open("w", newline="", encoding="utf-8") as file:

        def write(columns):
            pd.DataFrame(columns).to_csv(
                file, index=False, header=file.tell() == 0, lineterminator="\n"
            )

        yield write


@contextlib.contextmanager
def _parquet(path):
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet

    writer = None

    def write(columns):
        nonlocal writer
        frame = pd.DataFrame(columns)
        if writer is None:
            schema = pa.Schema.from_pandas(frame, preserve_index=False)
            # A column without a value so far may have texts later.
            types = [pa.string() if pa.types.is_null(f.type) else f.type for f in schema]
            schema = pa.schema(list(zip(schema.names, types, strict=True)), schema.metadata)
            writer = pyarrow.parquet.ParquetWriter(path, schema)
        writer.write_table(pa.Table.from_pandas(frame, writer.schema, preserve_index=False))

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
