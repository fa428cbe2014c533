"""Log-densities of the rows of a file of any length."""

import contextlib
import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from keras import ops

from tfflows.datasets.readers.columns import choose_columns, find_column
from tfflows.datasets.readers.dequantize import UniformNoise
from tfflows.datasets.readers.labels import LabelCodes
from tfflows.datasets.readers.npy import ArrayTable
from tfflows.datasets.readers.table import TableReader, open_table
from tfflows.datasets.rows import as_condition
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.damage import cut

if TYPE_CHECKING:
    from tfflows.flow import Flow
    from tfflows.serving.served_flow import ServedFlow

SUFFIXES = (".csv", ".npy", ".parquet")


@dataclasses.dataclass(frozen=True)
class ScoreSummary:
    """What `score_file` wrote.

    Attributes:
        rows: rows written.
        missing: rows among them that have missing or infinite values, and the score NaN.
        dropped: rows left out because of missing values.
        lowest: the least likely rows, lowest first.
    """

    rows: int
    missing: int
    dropped: int
    lowest: "tuple[ScoredRow, ...]"


class ScoredRow(NamedTuple):
    """A row of a file: its log-density in nats, its number from 0, its kept cells."""

    log_prob: float
    row: int
    kept: tuple[str, ...]


def score_file(
    flow: "Flow | ServedFlow",
    source: str | Path,
    out: str | Path,
    columns: Sequence[str | int] | None = None,
    condition_columns: Sequence[str | int] = (),
    batch_size: int = 4096,
    *,
    missing: str = "refuse",
    keep: Sequence[str | int] = (),
    top: int = 0,
) -> ScoreSummary:
    """Write log p(x) of each row of `source` to `out`, in order, one batch in memory at a time.

    A flow that knows the names of its data (`Flow.data_schema`) finds its columns by them, in any
    order, the condition of its classes in the column of the label, and the columns of whole numbers
    to add noise to.

    Args:
        flow: a flow, or a served one.
        source: a .csv, .parquet, .npy or .npz file of events.
        out: a .csv or .parquet file with a column "log_prob", or a .npy file `[rows]`; float32.
        columns: those that hold x, by name or index; None takes those that the flow was trained
            on, or else all but the condition's.
        condition_columns: those that hold the condition as numbers, for a conditional flow.
        batch_size: rows per batch.
        missing: "refuse" rows with missing values by ValueError, "drop" them, or give them the
            score "nan".
        keep: columns of `source`, such as an id, that are written before the score as text.
        top: how many of the least likely rows to return.

    Returns:
        A `ScoreSummary`.

    Raises:
        ValueError: the rows do not fit the flow, hold a value that is not a finite number, or
            `out` is `source`.
        OSError: a file cannot be read or written; nothing is left of a half-written one.
    """
    suffix = Path(out).suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"Scores go to a file {' or '.join(SUFFIXES)}. Received: {out}")
    if Path(out).exists() and Path(out).samefile(source):
        raise ValueError(
            f"Scores must go to a different file from the rows. Received: {out} for both"
        )
    if keep and suffix == ".npy":
        raise ValueError(f"Kept columns go to a .csv or .parquet file. Received: {out}")
    rows = _FileRows(flow, source, columns, condition_columns, missing, keep)
    count, unusable, lowest = 0, 0, []
    with (
        replaced_on_success(out) as temporary,
        _WRITERS[suffix](temporary, rows.kept_names) as write,
    ):
        for x, condition, numbers, kept in rows.batches(batch_size):
            scores, bad = score_rows(flow, x, condition)
            write(scores, kept)
            count, unusable = count + len(scores), unusable + bad
            lowest = _lowest(lowest, scores, numbers, kept, top)
    return ScoreSummary(count, unusable, rows.reader.dropped, tuple(lowest))


def check_columns(
    flow: "Flow | ServedFlow",
    source: str | Path,
    columns: Sequence[str | int] | None = None,
    condition_columns: Sequence[str | int] = (),
    keep: Sequence[str | int] = (),
) -> None:
    """ValueError where `score_file` would refuse a file because of its columns."""
    _FileRows(flow, source, columns, condition_columns, "refuse", keep)


def score_rows(
    flow: "Flow | ServedFlow", x: np.ndarray, condition: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """log p(x) float32 `[n]`, NaN for rows that are not finite, and how many these are."""
    parts: list[Any] = [x] if condition is None else [x, condition]
    good = np.all([np.isfinite(p.reshape(len(p), -1)).all(axis=1) for p in parts], axis=0)
    scores = np.full(len(x), np.nan, "float32")
    if not good.any():
        return scores, len(x)
    if not good.all():  # batches keep their size, for which a flow may be compiled
        fill = np.flatnonzero(good)[0]
        parts = [np.where(good.reshape(-1, *[1] * (p.ndim - 1)), p, p[fill]) for p in parts]
    found = ops.convert_to_numpy(flow.log_prob(*parts, num_draws=1)).astype("float32")
    scores[good] = found[good]
    return scores, int((~good).sum())


def _lowest(before, scores, numbers, kept, top):
    order = np.argsort(scores, kind="stable")[:top]  # NaN come last
    new = [
        ScoredRow(float(scores[i]), int(numbers[i]), tuple(texts[i] for texts in kept))
        for i in order
        if not np.isnan(scores[i])
    ]
    return sorted([*before, *new])[:top]


class _FileRows:
    """Rows of a file as a flow takes them."""

    def __init__(self, flow, source, columns, condition_columns, missing, keep):
        schema = flow.data_schema
        self._flow, self._source = flow, source
        self._table = table = open_table(source)
        is_events = isinstance(table, ArrayTable) and len(table.shape) > 2
        if columns is None and not is_events:
            columns = schema.find_columns(table.names, str(source))
        self._codes = label = None
        if flow.condition_shape is not None and not condition_columns:
            if schema.condition_columns is not None:
                condition_columns = schema.condition_columns
            elif schema.classes is not None and schema.label is not None:
                self._codes = LabelCodes(f"{source}, label {schema.label!r}", schema.classes)
                label = find_column(table, schema.label)
        self._num_condition = len(condition_columns)
        self._check_condition(columns, condition_columns)
        names = None if columns is None else [*columns, *condition_columns]
        places = choose_columns(table, names, label=label)
        self._check_dims([table.names[i] for i in places])
        noise = UniformNoise(table, places, schema.dequantized or (), seed=0)
        self.reader = TableReader(table, places, label, missing, noise)
        kept = [find_column(table, column) for column in keep]
        self.kept_names = [table.names[i] for i in kept]
        self._texts = [_Texts(table, i) for i in kept]

    def _check_condition(self, columns, condition_columns):
        shape = self._flow.condition_shape
        if (bool(condition_columns) or self._codes is not None) != (shape is not None):
            raise ValueError(
                f"The flow's conditions have the shape {shape}. "
                f"Received: condition columns {list(condition_columns)}"
            )
        if condition_columns and columns is None:
            raise ValueError("Condition columns require that the columns of x are named as well")

    def _check_dims(self, names):
        count, flow = len(names) - self._num_condition, self._flow
        if count != flow.dims:
            raise ValueError(
                f"The model requires rows of {flow.dims} numbers, for {flow.event_shape}. "
                f"Received: {count} in {self._source}, the columns {cut(', '.join(names))}; "
                "choose them by columns"
            )

    def batches(self, size):
        """x `[n, *event_shape]`, condition or None, row numbers `[n]`, lists of kept texts."""
        if size < 1:
            raise ValueError(f"batch_size must be a positive integer. Received: {size!r}")
        for flat, labels, numbers in _rebatch(self.reader, size):
            x, condition = self._split(flat)
            if self._codes is not None:
                condition = _one_hot(labels, self._codes, self._flow.condition_shape[0])
            yield x, condition, numbers, [texts.of_rows(numbers) for texts in self._texts]

    def _split(self, flat):
        flow = self._flow
        x, condition = np.split(flat, [flat.shape[1] - self._num_condition], axis=1)
        x = x.reshape(-1, *flow.event_shape)
        return x, condition.reshape(-1, *flow.condition_shape) if self._num_condition else None


def _one_hot(labels, codes, num_classes):
    """float32 `[n, num_classes]`, NaN where a label is missing."""
    given = np.asarray([label is not None for label in labels])
    rows = np.full((len(labels), num_classes), np.nan, "float32")
    rows[given] = as_condition(codes.encode(labels[given]), num_classes)
    return rows


def _rebatch(parts, size):
    """Tuples of arrays (or None) of `size` rows, the last ones of fewer."""
    pending: Any = None
    for part in parts:
        joined: Any = part if pending is None else tuple(map(_join, pending, part))
        count = len(joined[0])
        for start in range(0, count - size + 1, size):
            yield _slice(joined, slice(start, start + size))
        pending = _slice(joined, slice(count - count % size, None))
    if pending is not None and len(pending[0]):
        yield pending


def _join(a, b):
    return None if a is None else np.concatenate([a, b])


def _slice(arrays, rows):
    return tuple(None if a is None else a[rows] for a in arrays)


class _Texts:
    """Cells of one column as text, for increasing row numbers."""

    def __init__(self, table, column):
        parts = (texts for _, texts in table.batches([], column, 4096))
        self._cells = enumerate(text for part in parts for text in part)

    def of_rows(self, numbers) -> list[str]:
        cells = {}
        last = numbers[-1]
        for row, text in self._cells:
            cells[row] = "" if text is None else str(text)
            if row == last:
                break
        return [cells[row] for row in numbers]


@contextlib.contextmanager
def _csv_writer(path, names) -> Iterator:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, "log_prob"])

        def write(scores, kept):
            texts = [f"{score:.9g}" for score in scores]  # 9 digits give float32 back
            writer.writerows(zip(*kept, texts, strict=True))

        yield write


@contextlib.contextmanager
def _npy_writer(path, names) -> Iterator:
    count = 0

    def header(file):
        fields = {"descr": "<f4", "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(file, fields)

    def write(scores, kept):
        nonlocal count
        count += len(scores)
        file.write(scores.astype("<f4").tobytes())

    with path.open("wb") as file:
        header(file)
        yield write
        file.seek(0)  # NumPy leaves room in a header for its first axis to grow
        header(file)


@contextlib.contextmanager
def _parquet_writer(path, names) -> Iterator:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([*((name, pa.string()) for name in names), ("log_prob", pa.float32())])
    with pq.ParquetWriter(path, schema) as writer:
        yield lambda scores, kept: writer.write_table(pa.table([*kept, scores], schema=schema))


_WRITERS = {".csv": _csv_writer, ".npy": _npy_writer, ".parquet": _parquet_writer}
