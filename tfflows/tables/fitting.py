"""Fitting a TableFlow to a table without choices: size, batches, steps and when to stop."""

import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tfflows.tables.columns import Cells
from tfflows.tables.encoder import Encoder
from tfflows.tables.pace import Pace
from tfflows.tables.schema import Schema
from tfflows.tables.sources import is_paths
from tfflows.tables.stored_rows import (
    StoredRows,
    held_out_generator,
    sample_cells,
    store_rows,
)
from tfflows.tables.table_flow import TableFlow
from tfflows.tables.trainer import MAX_ADAPT_ROWS
from tfflows.training.stop_on_nan import StopOnNaN

MIN_ROWS = 10


class Size(NamedTuple):
    """What `fit` chooses by the number of rows."""

    width: int
    num_blocks: int
    dropout: float
    batch_size: int


def size_for(num_rows: int) -> Size:
    """Small networks and dropout for few rows, which large ones would learn by heart."""
    if num_rows < 1_000:
        return Size(64, 1, 0.2, 32)
    if num_rows < 5_000:
        return Size(128, 2, 0.1, 64)
    if num_rows < 100_000:
        return Size(256, 2, 0.05, 256)
    return Size(256, 3, 0.0, 1024)


def fit(
    data: Any,
    schema: Schema | None = None,
    *,
    validation: float = 0.1,
    max_steps: int = 6_000,
    max_minutes: float | None = None,
    seed: int = 0,
    learning_rate: float = 1e-3,
    batch_size: int | None = None,
    verbose: int | str = "auto",
    callbacks: Any = (),
    **settings: Any,
) -> TableFlow:
    """A TableFlow of a table, trained until rows that are held out get no likelier.

    AdamW at the pace of `Pace`; the weights of the best epoch are kept. Tables in files are encoded
    into temporary files, and memory does not grow with their rows.

    Args:
        data: a pandas DataFrame, an Arrow table, a dict of arrays, or paths of .csv or .parquet.
        schema: of its columns; inferred by default.
        validation: share of the rows that is held out, at least one row.
        max_steps, max_minutes: training ends then, whatever the held-out nll does.
        seed: of the held-out rows, first weights and steps.
        learning_rate: the first.
        batch_size: rows per step; chosen by the number of rows by default.
        verbose, callbacks: those of `keras.Model.fit`.
        settings: of `TableFlow`: width, num_blocks, num_components, order, dropout. Those that
            are not given are chosen by the number of rows.

    Raises:
        ValueError: there are fewer than ten rows, or a cell does not fit the schema.

    Example:
        flow = tfflows.tables.fit(frame)
        flow.sample(1000)
    """
    if not 0 < validation < 1:
        raise ValueError(f"`validation` must be between 0 and 1. Received: {validation}")
    schema = Schema.infer(data) if schema is None else schema
    with tempfile.TemporaryDirectory() as folder:
        encoder, sample, trained, held_out = _encode(data, schema, validation, seed, Path(folder))
        size = size_for(len(trained.codes))
        batch_size = batch_size or size.batch_size
        chosen = size._asdict()
        del chosen["batch_size"]
        keras.utils.set_random_seed(seed)
        flow = TableFlow(schema, **{**chosen, **settings})
        flow.begin_with(encoder, sample)
        flow.compile(keras.optimizers.AdamW(learning_rate, weight_decay=0.01, clipnorm=5.0))
        # Few rows make a noisy epoch: patience is counted in steps as well.
        steps = math.ceil(len(trained.codes) / batch_size)
        patience = max(3, math.ceil(300 / steps))
        flow.fit(
            StoredRows(trained, batch_size, seed),
            validation_data=StoredRows(held_out, max(batch_size, 256)),
            epochs=math.ceil(max_steps / steps),
            verbose=verbose,
            callbacks=[
                StopOnNaN(),
                Pace(learning_rate, max_steps, max_minutes, patience),
                keras.callbacks.EarlyStopping(patience=10**9, restore_best_weights=True),
                *callbacks,
            ],
        )
    return flow


def _encode(data, schema, validation, seed, folder):
    """The encoder, cells of a sample, and rows to train and to hold out; of files in the folder."""
    if is_paths(data):
        sample, places = sample_cells(schema.read(data), MAX_ADAPT_ROWS, seed)
    else:
        sample = schema.parse(data)
        places = np.arange(len(next(iter(sample.values())).values))
    rows = len(places)
    if rows < MIN_ROWS:
        raise ValueError(f"Expected a table of at least {MIN_ROWS} rows. Received: {rows}")
    is_large = is_paths(data) and rows == MAX_ADAPT_ROWS  # there are more than that
    is_held_out = held_out_rows(places[-1] + 1, validation, seed)[places]
    trained, held_out = (
        {name: Cells(*(part[chosen] for part in cells)) for name, cells in sample.items()}
        for chosen in (~is_held_out, is_held_out)
    )
    encoder = Encoder.fit(schema, trained)
    if is_large:
        parts = store_rows(encoder, schema.read(data), folder, validation, seed)
        return encoder, trained, *parts
    return encoder, trained, encoder.encode(trained), encoder.encode(held_out)


def held_out_rows(rows: int, validation: float, seed: int) -> np.ndarray:
    """Which rows of a table `fit` holds out, at least one: bool `[rows]`."""
    random = held_out_generator(seed).random(rows)  # as `store_rows` draws them, in chunks
    return random < max(validation, random.min() + 1e-12)
