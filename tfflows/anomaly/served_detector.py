"""SavedModels of detectors, called from Python with the calls of an AnomalyDetector."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.anomaly import conformal
from tfflows.anomaly.rows import read_rows
from tfflows.serving.description import DESCRIPTION_FILE
from tfflows.serving.loading import load_saved_model
from tfflows.tables import Schema
from tfflows.tables.argument_names import argument_names
from tfflows.tables.served_cells import served_cells
from tfflows.utils.checks import check_shape
from tfflows.utils.data_schema import DataSchema

BATCH_SIZE = 1024


class ServedDetector:
    """A SavedModel that `AnomalyDetector.export` wrote, with the calls of a detector.

    Works on every Keras backend, but needs TensorFlow.

    Example:
        served = tfflows.load_model("savedmodels/transactions")
        served.predict(rows)

    Args:
        filepath: a version folder, or a model folder, of which the latest version is taken.
        unsafe: True loads a SavedModel whatever its operations do. It is a program then: only from
            a source that is trusted like one.

    Attributes:
        threshold_: what `score_samples` of a row must be below to be called abnormal.
        description: what the export wrote beside the graph.

    Raises:
        FileNotFoundError: there is no SavedModel.
        ValueError: it is not one of a detector, or is refused for the reasons of `ServedFlow`.
    """

    def __init__(self, filepath: str | Path, unsafe: bool = False):
        folder, self._model, description = load_saved_model(filepath, unsafe)
        if not is_detector(description):
            raise ValueError(
                f"Expected {folder / DESCRIPTION_FILE} to describe a detector. Received: "
                f"{(description or {}).get('model', 'no description')}"
            )
        self.description: dict[str, Any] = description or {}
        self._schema = None
        try:
            self.threshold_ = float(self.description["threshold"])
            if "table_schema" in self.description:
                self._schema = Schema.from_config(self.description["table_schema"])
            self._names = DataSchema.from_config(self.description.get("data_schema", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder / DESCRIPTION_FILE}: {error}") from error

    @property
    def signatures(self) -> dict[str, Any]:
        """The TensorFlow function of each signature, by its name."""
        return dict(self._model.signatures)

    def detect(self, X: Any) -> dict[str, np.ndarray]:
        """What the signature gives: `score`, `p_value` and `is_anomaly` of rows, `[n]` each."""
        import tensorflow as tf

        function = self._model.signatures["detect"]
        specs = function.structured_input_signature[1]
        inputs = self._inputs(X)
        rows = len(next(iter(inputs.values())))
        parts = []
        for start in range(0, max(rows, 1), BATCH_SIZE):
            chunk = {
                name: tf.constant(values[start : start + BATCH_SIZE], specs[name].dtype)
                for name, values in inputs.items()
            }
            parts.append({name: value.numpy() for name, value in function(**chunk).items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _inputs(self, X):
        rows = read_rows(X, is_table=self._schema is not None)
        if self._schema is None:
            x = np.asarray(self._names.in_order(rows))
            check_shape(x, tuple(self.description["event_shape"]))
            return {"x": x.astype("float32")}
        cells = self._schema.parse(rows)
        arguments = argument_names(self._schema.names)
        return {arguments[c.name]: served_cells(c, cells[c.name]) for c in self._schema}

    def score_samples(self, X: Any) -> np.ndarray:
        """Scores of rows, `[n]`: lower is more abnormal."""
        return self.detect(X)["score"].astype("float64")

    def p_values(self, X: Any) -> np.ndarray:
        """Conformal p-values, `[n]`: small where abnormal."""
        return self.detect(X)["p_value"].astype("float64")

    def predict(self, X: Any) -> np.ndarray:
        """-1 for rows that are called abnormal and 1 for the others, int64 `[n]`."""
        return np.where(self.detect(X)["is_anomaly"], -1, 1)

    def find(self, X: Any, false_discovery_rate: float = 0.1) -> np.ndarray:
        """As `AnomalyDetector.find`, bool `[n]`."""
        return conformal.benjamini_hochberg(self.p_values(X), false_discovery_rate)


def is_detector(description: Mapping[str, Any] | None) -> bool:
    """Whether the description of a SavedModel is that of a detector."""
    return "detector" in (description or {})
