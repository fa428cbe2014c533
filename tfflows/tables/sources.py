"""Tables from what users have, chunk by chunk: pandas, Arrow, dicts, files, tf.data."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfflows.tables.csv_files import CsvFile, text_column
from tfflows.tables.rows import Rows
from tfflows.utils.damage import damage_named, shortened
from tfflows.utils.suggest import nearest

_TEXT = (".csv", ".tsv", ".data", ".txt")
SUFFIXES = (*_TEXT, ".parquet")
_IN_FOLDERS = (".csv", ".parquet")
ROWS_PER_CHUNK = 65_536


class Chunk(NamedTuple):
    """Consecutive rows of a table.

    Attributes:
        columns: a pandas Series per name, `[n]`. Text of CSV files is categorical.
        rows: where they come from.
        dtypes: of each column in the data; None for text of CSV files.
    """

    columns: dict[str, Any]
    rows: Rows
    dtypes: dict[str, str | None]


def chunks(
    data: Any,
    names: Sequence[str] | None = None,
    rows: int | None = ROWS_PER_CHUNK,
    numbers: Mapping[str, str] | None = None,
) -> Iterator[Chunk]:
    """The rows of a table in order, a few chunks in memory at a time.

    Args:
        data: a pandas DataFrame; an Arrow Table, or what offers itself as one (polars); a dict of
            arrays, a structured array or a list of dicts; the path of a .csv or .parquet file or
            of a folder of them, or a list of paths; a tf.data.Dataset of dicts.
        names: of the columns to read; None reads all.
        rows: of every chunk but the last of a table or file. None: tables in memory in one chunk.
        numbers: "int64" or "float64" for columns of CSV files that are probably such numbers,
            which are read faster. From the first cell on that is not, a file comes as text.

    Raises:
        ValueError: no such column, columns of the same name or of different lengths, a damaged
            file, or data of another type.
        FileNotFoundError: there is no such file.
    """
    if rows is not None and rows < 1:
        raise ValueError(f"Expected `rows` to be a positive number. Received: {rows}")
    if is_paths(data):
        for path in files_of(data):
            for chunk in _file_chunks(path, names, rows or ROWS_PER_CHUNK, numbers or {}):
                names = list(chunk.columns)  # which the next files must have as well
                yield chunk
    elif hasattr(data, "element_spec"):
        yield from _dataset_chunks(data, names, rows or ROWS_PER_CHUNK)
    elif hasattr(data, "__arrow_c_stream__") and not hasattr(data, "iloc"):
        yield from _arrow_chunks(data, names, rows)
    else:
        yield from _frame_chunks(_frame(data), names, rows)


def is_paths(data: Any) -> bool:
    """Whether data are files: a path or a list of paths."""
    if isinstance(data, list | tuple):
        return bool(data) and all(isinstance(path, str | os.PathLike) for path in data)
    return isinstance(data, str | os.PathLike)


def files_of(data: Any) -> list[Path]:
    """The files of a path, of all in a folder, or of a list of paths."""
    if not isinstance(data, list | tuple):
        path = Path(data)
        if not path.is_dir():
            return [path]
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in _IN_FOLDERS)
        found = [p for p in found if p.is_file() and not p.name.startswith((".", "_"))]
        if not found:
            raise ValueError(f"Expected {path} to hold files {list(_IN_FOLDERS)}. Received: none")
        return found
    return [file for path in data for file in files_of(path)]


def _file_chunks(path, names, rows, numbers):
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"A table's file must end in one of {list(SUFFIXES)}. Received: {path}")
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*") if p.suffix.lower() in SUFFIXES]
        raise FileNotFoundError(f"There is no file {path}{nearest(path.name, near)}")
    if path.suffix.lower() in _TEXT:
        file = CsvFile.open(path)
        yield from _csv_chunks(file, _chosen(file.names, names, str(path)), rows, numbers)
    else:
        import pyarrow.parquet

        with damage_named(path), pyarrow.parquet.ParquetFile(path) as file:
            present = file.schema_arrow.names
        wanted = _chosen(_without_index(present), names, str(path))
        tables = _parquet_tables(path, wanted, rows)
        yield from _numbered(tables, wanted, Rows(0, str(path)))


def _csv_chunks(file, names, rows, numbers):
    first = 0
    try:
        for table in _rechunked(file.batches(names, numbers), rows):
            yield from _numbered([table], names, Rows(first, str(file.path), file.line), numbers)
            first += table.num_rows
    except ValueError:
        if not numbers:
            raise
    else:
        return
    for table in _rechunked(file.batches(names, {}), rows, skip=first):
        yield from _numbered([table], names, Rows(first, str(file.path), file.line), {})
        first += table.num_rows


def _parquet_tables(path, names, rows):
    import pyarrow as pa
    import pyarrow.parquet

    with damage_named(path):
        file = pyarrow.parquet.ParquetFile(path, memory_map=True)
        batches = file.iter_batches(batch_size=rows, columns=list(names))
    while True:
        with damage_named(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield pa.Table.from_batches([batch])


def _rechunked(batches, rows, skip=0):
    """Arrow Tables of `rows` rows, and a last one, of batches of any number of rows."""
    import pyarrow as pa

    waiting, count = [], 0
    for batch in batches:
        skipped = min(skip, batch.num_rows)
        skip -= skipped
        waiting.append(batch.slice(skipped))
        count += batch.num_rows - skipped
        if count >= rows:
            table = pa.Table.from_batches(waiting)
            for start in range(0, count - rows + 1, rows):
                yield table.slice(start, rows)
            rest = table.slice(count - count % rows)
            waiting, count = rest.to_batches(), rest.num_rows
    if count:
        yield pa.Table.from_batches(waiting)


def _numbered(tables, names, rows, numbers=None):
    """Chunks of Arrow Tables, which begin at `rows`; what `numbers` lacks in a CSV file is text."""
    for table in tables:
        columns, dtypes = {}, {}
        for name in names:
            array = table.column(name).combine_chunks()
            if numbers is not None and name not in numbers:
                columns[name], dtypes[name] = text_column(array), None
            else:
                columns[name], dtypes[name] = _from_arrow(array)
        yield Chunk(columns, rows, dtypes)
        rows = dataclasses.replace(rows, first=rows.first + table.num_rows)


def _arrow_chunks(data, names, rows):
    import pyarrow as pa

    table = pa.table(data)
    wanted = _chosen(_without_index(table.column_names), names, "the table")
    size = rows or max(1, table.num_rows)
    parts = (table.slice(start, size) for start in range(0, table.num_rows, size))
    yield from _numbered(parts, wanted, Rows())


def _without_index(names):
    """Names without pandas' index, where that has no name."""
    return [name for name in names if not name.startswith("__index_level_")]


def _from_arrow(array):
    """(Series, dtype) of an Arrow array, whole numbers with nulls as pandas' nullable ones."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_dictionary(array.type):
        return array.to_pandas(), "category"
    if t.is_string(array.type) or t.is_large_string(array.type) or t.is_string_view(array.type):
        return pd.Series(array.to_numpy(zero_copy_only=False), dtype=object), "str"
    if t.is_decimal(array.type):
        return array.cast(pa.float64()).to_pandas(), "float64"
    natural = array.slice(0, 0).to_pandas(date_as_object=False).dtype
    nullable = {"i": "Int64", "u": "UInt64", "b": "boolean"}.get(natural.kind)
    if array.null_count and nullable:
        mapper = {array.type: pd.api.types.pandas_dtype(nullable)}.get
        return pa.table({"x": array}).to_pandas(types_mapper=mapper)["x"], str(natural)
    return array.to_pandas(date_as_object=False), str(natural)


def _frame_chunks(frame, names, rows):
    wanted = _chosen(list(map(str, frame.columns)), names, "the table")
    found = {str(name): column for name, column in frame.reset_index(drop=True).items()}
    columns = {name: found[name] for name in wanted}
    dtypes: dict[str, str | None] = {name: str(c.dtype) for name, c in columns.items()}
    if rows is None or len(frame) <= rows:
        if len(frame):
            yield Chunk(columns, Rows(), dtypes)
        return
    for start in range(0, len(frame), rows):
        part = {name: c.iloc[start : start + rows] for name, c in columns.items()}
        yield Chunk(part, Rows(start), dtypes)


def _frame(data):
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, np.ndarray) and data.dtype.names:
        data = {name: data[name] for name in data.dtype.names}
    elif isinstance(data, list | tuple) and data and all(isinstance(r, Mapping) for r in data):
        return pd.DataFrame(list(data))
    if not isinstance(data, Mapping):
        raise ValueError(
            "Expected a table: a DataFrame, an Arrow Table, a dict of arrays, a .csv or .parquet "
            f"file, a folder or list of them, or a tf.data.Dataset of dicts. "
            f"Received: {shortened(data)}"
        )
    columns = {str(name): _column(values, name) for name, values in data.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"Expected columns of the same length. Received: {shortened(lengths, 200)}"
        )
    return pd.DataFrame(columns)


def _column(values, name):
    import pandas as pd

    if hasattr(values, "numpy") and not isinstance(values, pd.Series):
        values = values.numpy()  # a tensor
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise ValueError(
                f"Expected column {str(name)!r} to have shape (rows,). Received: {values.shape}"
            )
        if values.dtype.kind == "S" or values.dtype == object:
            values = np.array([v.decode() if isinstance(v, bytes) else v for v in values], object)
    elif isinstance(values, str) or not hasattr(values, "__len__"):
        raise ValueError(
            f"Expected column {str(name)!r} to be an array. Received: {shortened(values)}"
        )
    return pd.Series(values).reset_index(drop=True)


def _dataset_chunks(dataset, names, rows):
    spec = dataset.element_spec
    if not isinstance(spec, Mapping):
        raise ValueError(f"Expected a Dataset of dicts by column. Received: {shortened(spec)}")
    wanted = _chosen(list(map(str, spec)), names, "the Dataset")
    ranks = {name: len(spec[name].shape) for name in wanted}
    if set(ranks.values()) not in ({0}, {1}):
        raise ValueError(
            "Expected a Dataset whose columns are all scalars, or all vectors of a batch. "
            f"Received: {shortened({name: tuple(spec[name].shape) for name in wanted}, 200)}"
        )
    dataset = dataset.map(lambda row: {name: row[name] for name in wanted})
    dataset = dataset.batch(rows) if 0 in ranks.values() else dataset.rebatch(rows)
    first = 0
    for batch in dataset.as_numpy_iterator():
        frame = _frame(batch)
        for chunk in _frame_chunks(frame, wanted, None):
            yield chunk._replace(rows=Rows(first))
        first += len(frame)


def _chosen(present, names, source):
    """The names wanted, all of which must be present."""
    repeated = [name for name, count in Counter(present).items() if count > 1]
    if repeated:
        raise ValueError(
            f"Expected {source} to have columns of different names. "
            f"Received: {shortened(repeated, 200)} twice"
        )
    known = set(present)
    absent = [name for name in names or () if name not in known]
    if absent:
        raise ValueError(
            f"Expected {source} to have the columns {shortened(absent, 200)}. "
            f"Received: {shortened(list(present), 200)}{nearest(absent[0], present)}"
        )
    return list(present) if names is None else list(names)
