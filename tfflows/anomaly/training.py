"""Training of a detector's models: by held-out rows, robust against a few anomalies."""

import math
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfflows.anomaly.defaults import Plan, plan_for
from tfflows.flow import Flow
from tfflows.tables import Schema, TableFlow, fit
from tfflows.tables.fitting import held_out_rows

ROUNDS = (0.25, 0.25, 0.5)  # shares of the training, between which rows are left out
MIN_HELD_OUT = 10


class TimeLimit(keras.callbacks.Callback):
    """Ends training after some minutes.

    Args:
        max_minutes: of all trainings together from now on, or None.
    """

    def __init__(self, max_minutes: float | None):
        super().__init__()
        self._end = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes

    @property
    def minutes_left(self) -> float | None:
        """Minutes until the end; None without a limit."""
        if math.isinf(self._end):
            return None
        return max(1e-3, (self._end - time.monotonic()) / 60)

    def on_epoch_end(self, epoch, logs=None):
        if time.monotonic() > self._end:
            self.model.stop_training = True


class Cosine(keras.callbacks.Callback):
    """A rate that falls to zero along a cosine, with the steps or with the time if that ends first.

    Args:
        learning_rate: the first.
        num_steps: of all trainings that it is given to.
        limit: of their time.
    """

    def __init__(self, learning_rate: float, num_steps: int, limit: TimeLimit):
        super().__init__()
        self.learning_rate, self.num_steps = learning_rate, num_steps
        self._before, self._steps = 0, 0
        self._start, self._minutes = time.monotonic(), limit.minutes_left

    def on_train_batch_end(self, batch, logs=None):
        self._steps = self._before + batch + 1
        spent = self._steps / self.num_steps
        if self._minutes is not None:
            spent = max(spent, (time.monotonic() - self._start) / (60 * self._minutes))
        if spent >= 1:
            self.model.stop_training = True
        rate = 0.5 * (1 + math.cos(math.pi * min(spent, 1.0)))
        self.model.optimizer.learning_rate = self.learning_rate * rate

    def on_epoch_end(self, epoch, logs=None):
        self._before = self._steps


def is_trained(model: Flow | TableFlow) -> bool:
    """Whether a model was trained or loaded, as far as its weights tell.

    Raises:
        ValueError: it is not a model.
    """
    if isinstance(model, TableFlow):
        return model.encoder is not None
    if not isinstance(model, Flow):
        raise ValueError(
            "Expected a model to be a Flow, VAE or TableFlow, such as `tfflows.load_model` gives. "
            f"Received: {model!r}"
        )
    return not model.has_initial_weights


def untrained_copy(model: Flow | TableFlow) -> Flow | TableFlow:
    """A model of the same config with new weights, compiled as the model is."""
    config = model.get_config()
    config.pop("marginals", None)
    copy = type(model).from_config(config)
    if model.compiled:
        copy.compile_from_config(model.get_compile_config())
    return copy


def without_optimizer(model: Flow | TableFlow) -> Flow | TableFlow:
    """The same model, not compiled: an optimizer's state is twice the size of the weights."""
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def train_flow(
    flow: Flow,
    x: np.ndarray,
    held_out: np.ndarray,
    limit: TimeLimit,
    contamination: float = 0.0,
    verbose: int | str = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train a flow until held-out rows get no likelier.

    With `contamination`, rows that are least likely after a quarter and after half of the training
    are left out of the rest of it: early on a flow has not yet learnt rare rows by heart.

    Args:
        flow: untrained; where it is compiled its own optimizer trains it.
        x, held_out: rows.
        limit: of time.
        contamination: the share of rows that may be anomalies.
        verbose, callbacks: those of `keras.Model.fit`.
    """
    plan = plan_for(flow, len(x))
    callbacks = [limit, *callbacks]
    if not flow.compiled:
        rate, decay = plan.learning_rate, plan.weight_decay
        flow.compile(keras.optimizers.AdamW(rate, weight_decay=decay, clipnorm=10.0))
        steps = plan.epochs * math.ceil(len(x) / plan.batch_size)
        callbacks.append(Cosine(rate, steps, limit))
    weights, kept = None, held_out
    for share in ROUNDS if contamination else (1.0,):
        flow.fit(
            x,
            sample_weight=weights,
            validation_data=None if plan.patience is None else kept,
            epochs=max(1, round(share * plan.epochs)),
            batch_size=plan.batch_size,
            verbose=verbose,
            callbacks=[*_early_stopping(plan), *callbacks],
        )
        if contamination:
            weights = _usual(flow, x, contamination).astype("float32")
            kept = held_out[_usual(flow, held_out, contamination)]


def _early_stopping(plan: Plan) -> list:
    if plan.patience is None:
        return []
    stop = keras.callbacks.EarlyStopping(
        "val_nll", patience=plan.patience, restore_best_weights=True, mode="min"
    )
    return [stop]


def _usual(model, x, contamination):
    """Which rows are not among the share that is least likely: bool `[n]`."""
    log_prob = np.nan_to_num(np.asarray(model.log_prob(x, batch_size=4096)), nan=-np.inf)
    left_out = math.floor(contamination * len(x))
    usual = np.ones(len(x), bool)
    usual[np.argsort(log_prob, kind="stable")[:left_out]] = False
    return usual


def train_table(
    data: Any,
    schema: Schema,
    validation: float,
    limit: TimeLimit,
    contamination: float = 0.0,
    seed: int = 0,
    verbose: int | str = 0,
    **settings: Any,
) -> TableFlow:
    """A TableFlow of a table, as `tfflows.tables.fit` trains it.

    With `contamination`, a first flow is trained for a third of the time, and the rows that it
    finds least likely are left out for the second.

    Args:
        data: a DataFrame.
        schema: of its columns.
        validation: share of the rows that is held out.
        limit: of time.
        contamination: the share of rows that may be anomalies.
        seed, verbose, settings: those of `fit`.
    """
    options = {"validation": validation, "seed": seed, "verbose": verbose, **settings}
    if contamination:
        minutes = limit.minutes_left
        third = None if minutes is None else minutes / 3
        first = fit(data, schema, max_steps=2_000, max_minutes=third, **options)
        data = data[_usual(first, data, contamination)]
    return fit(data, schema, max_minutes=limit.minutes_left, **options)


def held_out_share(rows: int, share: float) -> float:
    """The share of the rows to hold out: at least ten of them, at most a third."""
    return min(max(share, MIN_HELD_OUT / rows), 1 / 3)


def held_out_places(rows: int, share: float, seed: int) -> np.ndarray:
    """Which rows `train_flow` should hold out, bool `[rows]`: `held_out_share` of them."""
    return held_out_rows(rows, held_out_share(rows, share), seed)
