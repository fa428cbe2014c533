"""The signature `detect` of a detector's SavedModel."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from keras import ops

from tfflows.anomaly.densities import LARGEST
from tfflows.backend.compilation import few_row_sizes
from tfflows.tables import TableFlow
from tfflows.tables.graph_columns import check_servable
from tfflows.tables.signatures import row_encoder

if TYPE_CHECKING:
    from tfflows.anomaly.saved_detector import SavedDetector


def detect_signatures(saved: "SavedDetector") -> dict[str, Callable]:
    """A `tf.function` by name.

    | signature | in | out |
    |---|---|---|
    | detect | x [n, *event], or the columns [n] of a typed table | score, p_value float32 [n]; |
    | | | is_anomaly bool [n] |
    """
    model, detect = saved.models[0], detection(saved)
    if isinstance(model, TableFlow):
        for column in model.schema:
            check_servable(column)
        specs, encode = row_encoder(model)

        def detect_row(**columns):
            return detect(*encode(columns))

        function = tf.function(detect_row, autograph=False)
        return {"detect": function.get_concrete_function(**specs)}
    x = tf.TensorSpec([None, *model.event_shape], model.compute_dtype, name="x")

    def detect_x(x):
        return detect(x)

    return {"detect": tf.function(detect_x, input_signature=[x], autograph=False)}


def example_requests(
    saved: "SavedDetector", functions: dict[str, Any]
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """A request of one normal row to `detect`."""
    model = saved.models[0]
    if not isinstance(model, TableFlow):
        row = saved.value_of("reference")[:1].astype(model.compute_dtype)
        return [("detect", {"x": row})]
    from tfflows.tables.signatures import example_requests as requests_of_table
    from tfflows.tables.signatures import make_table_signatures

    requests = dict(requests_of_table(make_table_signatures(model)))
    specs = functions["detect"].structured_input_signature[1]
    return [("detect", {name: requests["log_prob"][name] for name in specs})]


def detection(saved: "SavedDetector") -> Callable:
    """A function of the model's inputs, in tensors: what `detect` gives."""
    score = saved.fitted_score()
    calibration = np.sort(saved.value_of("calibration"))
    threshold = np.float32(saved.threshold)

    def detect(*inputs):
        with few_row_sizes():
            scores = ops.cast(score.compute(*inputs), "float32")
        is_number = ops.logical_and(scores == scores, ops.abs(scores) <= LARGEST)
        scores = ops.where(is_number, scores, np.float32(LARGEST))
        below = ops.cast(ops.searchsorted(calibration, scores, side="left"), "float32")
        count = len(calibration)
        return {
            "score": -scores,
            "p_value": (1 + count - below) / (1 + count),
            "is_anomaly": scores > threshold,
        }

    return detect
