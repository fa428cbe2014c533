"""Log-densities in Apache Beam pipelines. Beam is not an extra: install apache-beam yourself."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfflows.evaluation.scoring import score_rows
from tfflows.flow import Flow
from tfflows.saving import load_flow
from tfflows.serving.served_flow import ServedFlow

try:
    from apache_beam.ml.inference import base  # pyright: ignore[reportMissingImports]
except ImportError:  # which a handler says when it is made
    base: Any = None
_Base: Any = object if base is None else base.ModelHandler


class FlowModelHandler(_Base):
    """Scores rows by log p(x): a `ModelHandler` for `apache_beam.ml.inference.base.RunInference`.

    A row is an array of the shape of an event, or, as `ReadFromParquet` gives it, a dict of columns
    by name. Its result is a `PredictionResult` of the row and its log-density in nats, NaN where
    the row has missing or infinite values. Behind a `KeyedModelHandler` rows keep a key.

    Example:
        handler = FlowModelHandler("zoo:realnvp-2spirals", columns=["x", "y"])
        pipeline | ReadFromParquet("rows/*.parquet") | RunInference(handler)

    Args:
        model: what `tfflows.load_model` takes, on each worker.
        columns: names of the columns of x in rows that are dicts; None takes those that the flow
            was trained on.
        condition_columns: names of those of the condition, likewise.
        max_batch_size: rows of a batch at most.

    Raises:
        ImportError: Beam is not installed.
        ValueError: a row lacks a column, or has another shape.
    """

    def __init__(
        self,
        model: str,
        columns: Sequence[str] | None = None,
        condition_columns: Sequence[str] | None = None,
        max_batch_size: int = 4096,
    ):
        if base is None:
            raise ImportError(
                "Apache Beam is not installed, which tfflows.beam requires: pip install apache-beam"
            )
        super().__init__(min_batch_size=1, max_batch_size=max_batch_size)
        self._model = str(model)
        self._columns, self._condition_columns = columns, condition_columns

    def load_model(self) -> Flow | ServedFlow:
        """The flow, which Beam shares among the threads of a process."""
        return load_flow(self._model)

    def run_inference(
        self,
        batch: Sequence[np.ndarray | Mapping[str, Any]],
        model: Flow | ServedFlow,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Any]:
        """A result for each row."""
        schema = model.data_schema
        condition = None
        if isinstance(batch[0], Mapping):
            x = _take(batch, self._columns or schema.columns, "columns")
            if model.condition_shape is not None:
                names = self._condition_columns or schema.condition_columns
                condition = _take(batch, names, "condition_columns")
                condition = condition.reshape(-1, *model.condition_shape)
        else:
            x = np.stack([np.asarray(row, "float32") for row in batch])
        if x[0].size != model.dims:
            raise ValueError(
                f"The model requires rows of {model.dims} numbers, for {model.event_shape}. "
                f"Received: {x.shape[1:]}"
            )
        scores, _ = score_rows(model, x.reshape(-1, *model.event_shape), condition)
        return [
            base.PredictionResult(row, float(score), self._model)
            for row, score in zip(batch, scores, strict=True)
        ]

    def get_metrics_namespace(self) -> str:
        """Prefix of Beam's metrics."""
        return "BeamML_tfflows"


def _take(rows, names, argument):
    """float32 `[n, columns]` with NaN for None."""
    if names is None:
        raise ValueError(f"The model does not know the names of its columns: give {argument}=")
    try:
        cells = [[row[name] for name in names] for row in rows]
    except KeyError as error:
        raise ValueError(f"A row has no column {error}. Expected: {list(names)}") from error
    return np.asarray(cells, "float32")
