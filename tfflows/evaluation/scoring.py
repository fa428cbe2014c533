"""Log-densities of the rows of a file of any length."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from tfflows.datasets import stream_table
from tfflows.utils.atomic import replaced_on_success

if TYPE_CHECKING:
    from tfflows.flow import Flow
    from tfflows.serving.served_flow import ServedFlow

SUFFIXES = (".csv", ".npy", ".parquet")


def score_file(
    flow: "Flow | ServedFlow",
    source: str | Path,
    out: str | Path,
    columns: Sequence[str | int] | None = None,
    condition_columns: Sequence[str | int] = (),
    batch_size: int = 4096,
) -> int:
    """Write log p(x) of each row of `source` to `out`, in order, one batch in memory at a time.

    Args:
        flow: a flow, or a served one.
        source: a .csv, .parquet, .npy or .npz file of events.
        out: a .csv or .parquet file with a column "log_prob", or a .npy file `[rows]`; float32.
        columns: those that hold x, by name or index; None takes all but the condition's.
        condition_columns: those that hold the condition, for a conditional flow.
        batch_size: rows per batch.

    Returns:
        The number of rows.

    Raises:
        ValueError: the rows do not fit the flow, or hold a value that is not a finite number.
        OSError: a file cannot be read or written; nothing is left of a half-written one.
    """
    suffix = Path(out).suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"Scores go to a file {' or '.join(SUFFIXES)}. Received: {out}")
    if bool(condition_columns) != (flow.condition_shape is not None):
        raise ValueError(
            f"The flow's conditions have the shape {flow.condition_shape}. "
            f"Received: condition columns {list(condition_columns)}"
        )
    if condition_columns and columns is None:
        raise ValueError("Condition columns require that the columns of x are named as well")
    names = None if columns is None else [*columns, *condition_columns]
    count = 0
    with replaced_on_success(out) as temporary, _WRITERS[suffix](temporary) as write:
        for rows in stream_table(source, names, batch_size):
            scores = flow.log_prob(*_split(flow, rows, len(condition_columns), source))
            write(ops.convert_to_numpy(scores).astype("float32"))
            count += len(rows)
    return count


def _split(flow, rows, num_condition, source):
    """x `[n, *event_shape]` and the condition from rows of a file."""
    flat = rows.reshape(len(rows), -1)
    x, condition = np.split(flat, [flat.shape[1] - num_condition], axis=1)
    if x.shape[1] != flow.dims:
        raise ValueError(
            f"The model requires rows of {flow.dims} numbers, for {flow.event_shape}. "
            f"Received: {x.shape[1]} in {source}; choose them by columns"
        )
    x = x.reshape(-1, *flow.event_shape)
    return x, condition.reshape(-1, *flow.condition_shape) if num_condition else None


@contextlib.contextmanager
def _csv_writer(path) -> Iterator:
    with path.open("w") as file:
        file.write("log_prob\n")
        yield lambda scores: np.savetxt(file, scores, fmt="%.9g")  # 9 digits give float32 back


@contextlib.contextmanager
def _npy_writer(path) -> Iterator:
    count = 0

    def header(file):
        fields = {"descr": "<f4", "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(file, fields)

    def write(scores):
        nonlocal count
        count += len(scores)
        file.write(scores.astype("<f4").tobytes())

    with path.open("wb") as file:
        header(file)
        yield write
        file.seek(0)  # NumPy leaves room in a header for its first axis to grow
        header(file)


@contextlib.contextmanager
def _parquet_writer(path) -> Iterator:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("log_prob", pa.float32())])
    with pq.ParquetWriter(path, schema) as writer:
        yield lambda scores: writer.write_table(pa.table([scores], schema=schema))


_WRITERS = {".csv": _csv_writer, ".npy": _npy_writer, ".parquet": _parquet_writer}
