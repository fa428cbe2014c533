"""A fitted detector as a Keras model: what a .keras file, a zoo folder and an export hold."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from tfflows.anomaly import conformal
from tfflows.anomaly.choices import NAMES, make_score
from tfflows.anomaly.densities import Model
from tfflows.anomaly.rows import is_frame
from tfflows.anomaly.scores import Score
from tfflows.tables import TableFlow
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.finite_weights import check_finite_weights
from tfflows.utils.stored_weights import check_stored_weights, naming_file

if TYPE_CHECKING:
    from tfflows.anomaly.detector import AnomalyDetector

# Arguments of a detector that are numbers or texts.
PLAIN = ("false_alarm_rate", "contamination", "calibration", "max_minutes", "seed")


@keras.saving.register_keras_serializable(package="tfflows")
class SavedDetector(keras.Model):
    """The models of a detector, with the score's statistics and the calibration as weights.

    Args:
        models: those that the score reads, the one of normal rows first.
        score: its name.
        shapes: of the score's statistics and of the calibration scores and reference rows.
        arguments: of the detector, as JSON holds them.
        names: of the columns, or None.
        num_features: elements of a row.
        reference_table: normal rows of a typed table, columns as text; None of arrays.
    """

    def __init__(
        self,
        models: list[Model],
        score: str,
        shapes: Mapping[str, list[int]],
        arguments: Mapping[str, Any],
        names: list[str] | None,
        num_features: int,
        reference_table: Mapping[str, list] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.models = list(models)
        self.score_name = score
        self.arguments, self.names = dict(arguments), names
        self.num_features, self.reference_table = num_features, reference_table
        self._shapes = {name: list(shape) for name, shape in shapes.items()}
        values = {
            name: self.add_weight(
                name=name, shape=tuple(shape), initializer="zeros", trainable=False, dtype="float32"
            )
            for name, shape in self._shapes.items()
        }
        self._names, self._values = list(values), list(values.values())
        self.built = True

    @classmethod
    def of(cls, detector: "AnomalyDetector") -> "SavedDetector":
        """The model of a fitted detector; ValueError where the score has no name."""
        name = detector.score_name_
        if name not in NAMES:
            raise ValueError(
                f"A detector is saved with a score that has a name, one of {list(NAMES)}. "
                f"Received: {name!r}"
            )
        arrays = {f"score_{key}": value for key, value in detector.score_.state().items()}
        arrays["calibration"] = detector._calibration.astype("float32")
        reference, table = detector._reference, None
        if is_frame(reference):
            schema = detector.model_.schema
            table = {n: [_json(v) for v in reference[n].tolist()] for n in schema.names}
        else:
            arrays["reference"] = np.asarray(reference, "float32")
        arguments = {key: getattr(detector, key) for key in PLAIN}
        saved = cls(
            detector.score_.models,
            name,
            {key: list(value.shape) for key, value in arrays.items()},
            arguments,
            detector._names(),
            detector.n_features_in_,
            table,
        )
        for key, value in arrays.items():
            saved._values[saved._names.index(key)].assign(value)
        return saved

    def value_of(self, name: str) -> np.ndarray:
        """A statistic by its name, as `shapes` has it."""
        return ops.convert_to_numpy(self._values[self._names.index(name)])

    @property
    def threshold(self) -> float:
        """The score above which a row is called abnormal."""
        rate = self.arguments["false_alarm_rate"]
        return conformal.threshold(self.value_of("calibration"), rate)

    def fitted_score(self) -> Score:
        """The score over the models."""
        score = make_score(self.score_name, self.models)
        prefix = "score_"
        state = {n.removeprefix(prefix): self.value_of(n) for n in self._names if prefix in n}
        score.set_state(state)
        return score

    def restore(self, detector: "AnomalyDetector") -> "AnomalyDetector":
        """Make a new detector what the saved one was."""
        detector.set_params(score=self.score_name, model=self.models[0], **self.arguments)
        if len(self.models) == 2 and self.score_name == "likelihood_ratio":
            detector.background = self.models[1]
        detector.score_, detector.score_name_ = self.fitted_score(), self.score_name
        detector.model_ = self.models[0]
        if self.reference_table is None:
            detector._reference = self.value_of("reference")
        else:
            import pandas as pd

            detector._reference = pd.DataFrame(self.reference_table)
        calibration = self.value_of("calibration").astype("float64")
        detector._begin(calibration, self.names, self.num_features)
        return detector

    def call(self, *inputs: Any) -> Any:
        """Anomaly scores of rows as `densities.inputs_of` has them."""
        return self.fitted_score().compute(*inputs)

    def save(self, filepath: str | Path, overwrite: bool = True, **kwargs: Any) -> None:
        """`keras.Model.save` that replaces `filepath` only once the new file is whole."""
        if Path(filepath).suffix != ".keras":
            raise ValueError(f"A detector is saved as a .keras file. Received: {filepath}")
        if not overwrite and Path(filepath).exists():
            raise FileExistsError(f"{filepath} exists already: overwrite=True replaces it")
        with replaced_on_success(filepath) as temporary:
            super().save(temporary, **kwargs)

    def load_weights(
        self, filepath: str | Path, skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """`keras.Model.load_weights` of a file that has these weights and no others."""
        if not (skip_mismatch or kwargs):
            check_stored_weights(self, filepath)
        with naming_file(filepath):
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
        check_finite_weights(self.weights, str(filepath))

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: None = None,
        *,
        warmup: bool = False,
    ) -> Path | str:
        """`AnomalyDetector.export`."""
        from tfflows.anomaly.export import export_detector

        path = export_detector(self, filepath, format, warmup=warmup)
        if verbose:
            sys.stdout.write(f"Saved artifact at '{path}'.\n")
        return path

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "models": [keras.saving.serialize_keras_object(model) for model in self.models],
            "score": self.score_name,
            "shapes": self._shapes,
            "arguments": self.arguments,
            "names": self.names,
            "num_features": self.num_features,
            "reference_table": self.reference_table,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SavedDetector":
        config = dict(config)
        models = [
            keras.saving.deserialize_keras_object(model, custom_objects)
            for model in config.pop("models")
        ]
        for model in models:
            if not isinstance(model, Model):
                raise ValueError(
                    f"Expected flows and table flows. Received: a {type(model).__name__}"
                )
        if isinstance(models[0], TableFlow) != (config["reference_table"] is not None):
            raise ValueError("Expected a reference table where the model is one of tables")
        return cls(models, **config)


def _json(value):
    """A cell as JSON holds it."""
    if value is None or value != value:
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)
