"""AnomalyDetector: a model of normal rows, a score, and a threshold with a guarantee."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfflows.anomaly import conformal
from tfflows.anomaly.choices import check_score
from tfflows.anomaly.densities import Model, inputs_of
from tfflows.anomaly.explaining import Explanation, explain, reference_rows
from tfflows.anomaly.fitting import fit_score
from tfflows.anomaly.rows import is_frame, read_rows, schema_of, take
from tfflows.anomaly.saved_detector import SavedDetector
from tfflows.anomaly.scores import Score
from tfflows.anomaly.splitting import split_rows
from tfflows.tables import Schema, TableFlow


class AnomalyDetector:
    """Finds rows that are unlike normal ones, with a chosen rate of false alarms.

    Some of the normal rows are never trained on. They calibrate the score: a new normal row is
    called abnormal with a probability of at most `false_alarm_rate`, whatever the model and the
    score are, if it comes from where the normal rows came from (`tfflows.anomaly.conformal`). With
    anomalies among the calibration rows there are fewer alarms, not more.

    X is an array `[n, columns]`; a DataFrame, typed where it has text, dates, booleans or missing
    cells; images `[n, height, width, channels]` of whole numbers; or a dataset of batches of these,
    which is read into memory. Signs are those of scikit-learn: scores are lower, and predictions
    -1, for abnormal rows.

    Args:
        score: "auto", which is `tfflows.anomaly.defaults.auto_score` of the model; a name of
            `tfflows.anomaly.SCORES`; "likelihood_ratio" or "ensemble"; or what makes a `Score` of a
            model.
        model: a flow, VAE or `TableFlow` over the rows. One that is trained already is taken as it
            is, and X must be rows that it was not trained on; a copy of any other is trained, by
            its own optimizer where it is compiled. None makes the default model.
        false_alarm_rate: of `predict`, the share of normal rows that it calls abnormal.
        contamination: the share of X that may be anomalies, up to 0.5: as many of the rows that are
            least likely are left out between rounds of the training.
        calibration: the share of X that is not trained on, and more where the rate takes more.
        background: for the score "likelihood_ratio", a trained model of broader data; by default
            one is trained on perturbed rows.
        schema: of the columns of a table, a `tfflows.tables.Schema`; inferred by default.
        max_minutes: of all training.
        seed: of the split, the first weights and the training.
        verbose: that of `keras.Model.fit`.

    Attributes:
        model_: the fitted model.
        score_: the fitted `Score`.
        threshold_: what `score_samples` of a row must be below to be called abnormal.
        calibration_scores_: `score_samples` of the calibration rows, `[m]`, ascending.
        n_features_in_: elements of a row.
        feature_names_in_: names of the columns, where X had them.

    Example:
        detector = tfflows.anomaly.AnomalyDetector(false_alarm_rate=0.01).fit(normal_rows)
        detector.predict(new_rows)  # -1 where abnormal, 1 where normal
        detector.p_values(new_rows)
    """

    def __init__(
        self,
        score: str | Callable[[Model], Score] = "auto",
        model: Model | None = None,
        false_alarm_rate: float = 0.05,
        *,
        contamination: float = 0.0,
        calibration: float = 0.2,
        background: Model | None = None,
        schema: Schema | None = None,
        max_minutes: float | None = 1.5,
        seed: int = 0,
        verbose: int | str = 0,
    ):
        self.score = score
        self.model = model
        self.false_alarm_rate = false_alarm_rate
        self.contamination = contamination
        self.calibration = calibration
        self.background = background
        self.schema = schema
        self.max_minutes = max_minutes
        self.seed = seed
        self.verbose = verbose

    def fit(
        self, X: Any, y: None = None, callbacks: Sequence[keras.callbacks.Callback] = ()
    ) -> "AnomalyDetector":
        """Train and calibrate on normal rows; y is ignored.

        Args:
            X: normal rows.
            y: ignored.
            callbacks: of `keras.Model.fit`, for each model that is trained.

        Raises:
            ValueError: there are fewer than 20 rows, or fewer than the rate of false alarms takes;
                a row has NaN; or an argument cannot be.
        """
        self._check_arguments()
        given = self.model.schema if isinstance(self.model, TableFlow) else self.schema
        rows = read_rows(X, is_table=given is not None)
        schema = schema_of(rows, given) if self.model is None else given
        _check_finite(rows)
        split = split_rows(len(rows), self)
        names = list(map(str, rows.columns)) if is_frame(rows) else None
        fitted = fit_score(self, take(rows, split.rest), schema, names, callbacks)
        self.score_, self.score_name_ = fitted.score, fitted.name
        self.model_ = self.score_.model
        scores = self.score_.of_inputs(inputs_of(self.model_, take(rows, split.calibration)))
        self._reference = reference_rows(self.model_, take(rows, split.rest), self.seed)
        self._begin(scores, names, int(np.prod(rows.shape[1:])))
        return self

    def _begin(self, scores, names, num_features):
        """Take the calibration scores, larger where rows are more abnormal."""
        self._calibration = np.sort(scores)
        threshold = conformal.threshold(self._calibration, self.false_alarm_rate)
        self.threshold_ = -threshold
        self.calibration_scores_ = -self._calibration[::-1]
        self.n_features_in_ = num_features
        if names is not None:
            self.feature_names_in_ = np.array(names, object)

    def score_samples(self, X: Any) -> np.ndarray:
        """Scores of rows, `[n]`: lower is more abnormal.

        Raises:
            ValueError: rows of other columns, sizes or ranges than fitted, or NaN among them.
        """
        return -self._scores(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples` less the threshold, `[n]`: negative where a row is called abnormal."""
        return self.score_samples(X) - self.threshold_

    def p_values(self, X: Any) -> np.ndarray:
        """Conformal p-values, `[n]`: small where abnormal, uniform over normal rows."""
        return conformal.p_values(self._calibration, self._scores(X))

    def predict(self, X: Any) -> np.ndarray:
        """-1 for rows that are called abnormal and 1 for the others, int64 `[n]`."""
        return np.where(self.score_samples(X) < self.threshold_, -1, 1)

    def fit_predict(self, X: Any, y: None = None) -> np.ndarray:
        """`predict` of the rows that the detector is fitted to."""
        return self.fit(X).predict(X)

    def find(self, X: Any, false_discovery_rate: float = 0.1) -> np.ndarray:
        """Which rows of a batch are abnormal, bool `[n]`, where few of those may be normal.

        At most this share of the rows that are found is normal, in expectation (Benjamini and
        Hochberg 1995), whereas `predict` bounds the share of the normal rows that is found.
        """
        return conformal.benjamini_hochberg(self.p_values(X), false_discovery_rate)

    def drift(self, X: Any) -> conformal.Drift:
        """Whether a stretch of a stream has other scores than the calibration rows."""
        return conformal.drift(self._calibration, self._scores(X))

    def explain(self, X: Any) -> Explanation:
        """Which columns or pixels carry the scores of a few rows.

        A cell's contribution is how far the score falls if this cell becomes what the others make
        most normal, among values of normal rows; of images, a patch of pixels.
        """
        self._check_fitted()
        return explain(self.score_, self._read(X), self._reference, self._names())

    def _scores(self, X):
        self._check_fitted()
        return self.score_.of_inputs(inputs_of(self.model_, self._read(X)))

    def _read(self, X):
        return read_rows(X, is_table=isinstance(self.model_, TableFlow))

    def _names(self):
        return list(getattr(self, "feature_names_in_", [])) or None

    def save(self, filepath: str | Path, overwrite: bool = True) -> None:
        """Write the fitted detector as a .keras file, which `tfflows.load_model` reads.

        Raises:
            ValueError: it is not a .keras file, or the score has no name.
        """
        self._check_fitted()
        SavedDetector.of(self).save(filepath, overwrite)

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        *,
        warmup: bool = False,
    ) -> Path | str:
        """Write a SavedModel with the signature `detect`, which serves without this package.

        It takes x `[n, *event]`, or of a typed table one input per column, and gives `score` (that
        of `score_samples`), `p_value` and `is_anomaly`, `[n]` each.

        Args:
            filepath, format, verbose, warmup: as in `Flow.export`.

        Raises:
            FileExistsError: the version is there already.
            ValueError: the score has no name, or is not a function of tensors.
            OSError: the files cannot be written.
        """
        self._check_fitted()
        return SavedDetector.of(self).export(filepath, format, verbose, warmup=warmup)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments by name, as scikit-learn has it."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> "AnomalyDetector":
        """Change arguments, as scikit-learn has it; fit again afterwards."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"Expected one of {list(known)}. Received: {name!r}")
            setattr(self, name, value)
        return self

    def _check_arguments(self):
        check_score(self.score)
        conformal.rows_needed(self.false_alarm_rate)
        if not 0 <= self.contamination <= 0.5:
            raise ValueError(
                "Expected `contamination` to be between 0 and 0.5. "
                f"Received: {self.contamination!r}"
            )
        if not 0 < self.calibration < 1:
            raise ValueError(
                f"Expected `calibration` to be between 0 and 1. Received: {self.calibration!r}"
            )
        if self.background is not None and self.score != "likelihood_ratio":
            raise ValueError(
                "A background is for the score 'likelihood_ratio'. "
                f"Received: background with score={self.score!r}"
            )
        if getattr(self.model, "condition_shape", None) is not None:
            raise ValueError(
                "A detector expects a model without conditions. Received: one with the condition "
                f"shape {self.model.condition_shape}"  # pyright: ignore
            )

    def _check_fitted(self):
        if not hasattr(self, "score_"):
            raise ValueError("Expected a fitted detector: call fit(X) first")

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        changed = {k: v for k, v in self.get_params().items() if v is not defaults[k].default}
        shown = {
            k: v if v is None or isinstance(v, int | float | str) else type(v).__name__
            for k, v in changed.items()
        }
        return f"AnomalyDetector({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


def _check_finite(rows):
    """ValueError for NaN in an array of rows; of a typed table the schema says it."""
    if is_frame(rows):
        return
    if np.issubdtype(rows.dtype, np.floating) and not np.isfinite(rows).all():
        bad = np.argwhere(~np.isfinite(rows))
        raise ValueError(
            f"Expected rows without NaN or inf. Received: {len(bad)} such values, the first in row "
            f"{bad[0][0]}; leave such rows out, or give a DataFrame, whose cells may be missing"
        )
