"""From normal rows to a fitted score: the models that it reads are trained, then its statistics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from tfflows.anomaly.choices import make_score
from tfflows.anomaly.defaults import auto_score, default_image_model
from tfflows.anomaly.densities import Model, inputs_of
from tfflows.anomaly.rows import perturbed, take
from tfflows.anomaly.scores import Score, check_members
from tfflows.anomaly.table_model import default_table_model
from tfflows.anomaly.training import (
    TimeLimit,
    held_out_places,
    held_out_share,
    is_trained,
    train_flow,
    train_table,
    untrained_copy,
    without_optimizer,
)
from tfflows.flow import Flow
from tfflows.tables import Schema, TableFlow
from tfflows.utils.data_schema import DataSchema

if TYPE_CHECKING:
    from tfflows.anomaly.detector import AnomalyDetector

HELD_OUT = 0.15  # share of the rows that are not for calibration
HELD_OUT_OF_UNSEEN = 1 / 3  # where the model was trained on others
NUM_MEMBERS = 3  # of an ensemble
PERTURBED = 0.2  # share of the cells that a background's rows have from elsewhere


class FittedScore(NamedTuple):
    """A score over trained models, and its name or what made it."""

    score: Score
    name: Any


def fit_score(
    detector: "AnomalyDetector",
    rows: Any,
    schema: Schema | None,
    names: list[str] | None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> FittedScore:
    """The detector's score of rows, none of which calibrate.

    The statistics of the score are those of rows that no model was trained on.

    Args:
        detector: whose arguments say what to fit.
        rows: an array, or a DataFrame.
        schema: of a typed table; None of an array or a table of numbers.
        names: of the columns, or None.
        callbacks: of the trainings.
    """
    model, name = detector.model, detector.score
    background = detector.background
    if background is not None and not is_trained(background):
        raise ValueError("Expected a trained `background`. Received: one with its first weights")
    has_model = model is not None and is_trained(model)
    share = HELD_OUT_OF_UNSEEN if has_model else HELD_OUT
    is_held_out = held_out_places(len(rows), share, detector.seed)
    trainer = _ModelTrainer(detector, rows, is_held_out, schema, names, callbacks)
    if not has_model:
        model = trainer.train(model, 0)
    assert model is not None
    models = [model]
    name = auto_score(model, detector.contamination) if name == "auto" else name
    if name == "likelihood_ratio":
        if background is None:
            background = trainer.train(model, 1, is_background=True)
        models.append(background)
        check_members(models, "a background")
    elif name == "ensemble":
        models += [trainer.train(model, number) for number in range(1, NUM_MEMBERS)]
    score = make_score(name, models)
    seen = inputs_of(model, take(rows, np.flatnonzero(~is_held_out)))
    score.see_trained(seen, detector.contamination)
    score.fit_inputs(inputs_of(model, take(rows, np.flatnonzero(is_held_out))))
    return FittedScore(score, name)


class _ModelTrainer:
    """Trains models of the same rows, within the detector's minutes."""

    def __init__(self, detector, rows, is_held_out, schema, names, callbacks):
        self.detector, self.rows, self.is_held_out = detector, rows, is_held_out
        self.schema, self.names, self.callbacks = schema, names, callbacks
        self.limit = TimeLimit(detector.max_minutes)

    def train(self, model: Model | None, number: int, is_background: bool = False) -> Model:
        """A model like `model`, or the default one."""
        seed = self.detector.seed + number
        if number and self.detector.max_minutes is not None:
            self.limit = TimeLimit(self.detector.max_minutes / 2)
        rows = perturbed(self.rows, PERTURBED, seed) if is_background else self.rows
        options = {
            "contamination": self.detector.contamination,
            "verbose": self.detector.verbose,
            "callbacks": self.callbacks,
        }
        keras.utils.set_random_seed(seed)
        if isinstance(model, TableFlow) or (model is None and self.schema is not None):
            return self._train_table(model, rows, seed, options)
        flow = self._untrained(model, rows)
        # Checked, and in the columns' order and the dtype of the model.
        x = inputs_of(flow, rows)[0]
        train_flow(flow, x[~self.is_held_out], x[self.is_held_out], self.limit, **options)
        return without_optimizer(flow)

    def _train_table(self, model, rows, seed, options):
        settings = {}
        if model is not None:
            settings = model.get_config()
            for key in ("name", "dtype", "schema", "marginals"):
                settings.pop(key, None)
        schema = model.schema if model is not None else self.schema
        share = held_out_share(len(rows), HELD_OUT)  # `tables.fit` holds out the same rows
        flow = train_table(rows, schema, share, self.limit, seed=seed, **options, **settings)
        return without_optimizer(flow)

    def _untrained(self, model, rows) -> Flow:
        if model is not None:
            flow = untrained_copy(model)
        elif rows.ndim == 2:
            flow = default_table_model(np.asarray(rows))
        else:
            _check_pixels(rows)
            flow = default_image_model(rows.shape[1:])
        if self.names is not None and not flow.data_schema:
            flow.data_schema = DataSchema(columns=tuple(self.names))
        return flow


def _check_pixels(images):
    """ValueError unless images are whole numbers 0..255."""
    if images.min() < 0 or images.max() > 255 or not (images == np.floor(images)).all():
        raise ValueError(
            "The default model of images expects whole numbers from 0 to 255, such as raw pixels. "
            f"Received: {images.dtype} from {images.min():g} to {images.max():g}; scale and round "
            "them, or give a `model`"
        )
