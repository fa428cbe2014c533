"""Fitting a TableFlow to a table without choices: size, batches, steps and when to stop."""

import math
import time
from typing import Any, NamedTuple

import keras
import numpy as np

from tfflows.tables.columns import Cells
from tfflows.tables.encoder import Encoded
from tfflows.tables.schema import Schema
from tfflows.tables.table_flow import TableFlow
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


class StopAfter(keras.callbacks.Callback):
    """Ends training at the first batch after so many minutes."""

    def __init__(self, minutes: float):
        super().__init__()
        self.minutes = minutes

    def on_train_begin(self, logs=None):
        self._end = time.monotonic() + 60 * self.minutes

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() > self._end:
            self.model.stop_training = True


def fit(
    data: Any,
    schema: Schema | None = None,
    *,
    validation: float = 0.1,
    max_epochs: int = 200,
    max_minutes: float | None = None,
    seed: int = 0,
    learning_rate: float = 1e-3,
    batch_size: int | None = None,
    verbose: int | str = "auto",
    callbacks: Any = (),
    **settings: Any,
) -> TableFlow:
    """A TableFlow of a table, trained until rows that are held out get no likelier.

    AdamW, whose rate falls each time that the held-out nll has not for some epochs; the weights of
    the best epoch are kept. Their history is `flow.training_history`.

    Args:
        data: a pandas DataFrame, an Arrow table, a dict of arrays, or paths of .csv or .parquet.
        schema: of its columns; inferred by default.
        validation: share of the rows that is held out, at least one row.
        max_epochs, max_minutes: training ends then, whatever the held-out nll does.
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
    schema = Schema.infer(data) if schema is None else schema
    cells = schema.parse(data)
    rows = len(next(iter(cells.values())).values)
    if rows < MIN_ROWS:
        raise ValueError(f"Expected a table of at least {MIN_ROWS} rows. Received: {rows}")
    keras.utils.set_random_seed(seed)
    held_out, trained = held_out_rows(rows, validation, seed)
    size = size_for(len(trained))
    batch_size = batch_size or size.batch_size
    chosen = size._asdict()
    del chosen["batch_size"]
    flow = TableFlow(schema, **{**chosen, **settings})
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=0.01, clipnorm=5.0)
    flow.compile(optimizer)
    flow.adapt_cells(_rows_of(cells, trained))
    encoded = flow.fitted_encoder.encode(cells)
    # Few rows make a noisy epoch: patience is counted in steps as well.
    patience = max(5, math.ceil(300 / math.ceil(len(trained) / batch_size)))
    stop = keras.callbacks.EarlyStopping(patience=3 * patience, restore_best_weights=True)
    reduce = keras.callbacks.ReduceLROnPlateau(
        factor=0.3, patience=patience, min_lr=learning_rate / 100
    )
    own = [StopOnNaN(), reduce, stop]
    if max_minutes is not None:
        own.append(StopAfter(max_minutes))
    flow.fit(
        Encoded(*(part[trained] for part in encoded)),
        validation_data=Encoded(*(part[held_out] for part in encoded)),
        epochs=max_epochs,
        batch_size=batch_size,
        verbose=verbose,
        callbacks=[*own, *callbacks],
    )
    return flow


def held_out_rows(rows: int, validation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows that `fit` holds out, and of those that it trains on."""
    if not 0 < validation < 1:
        raise ValueError(f"`validation` must be between 0 and 1. Received: {validation}")
    order = np.random.default_rng(seed).permutation(rows)
    held_out, trained = np.split(order, [max(1, round(validation * rows))])
    return held_out, trained


def _rows_of(cells, rows) -> dict[str, Cells]:
    return {name: Cells(c.values[rows], c.missing[rows]) for name, c in cells.items()}
