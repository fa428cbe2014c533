"""Export of a detector: a SavedModel with the signature `detect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from tfflows.serving.description import facts_of_flow
from tfflows.serving.export import export_in_tensorflow, write_saved_model
from tfflows.serving.versions import next_version
from tfflows.serving.warmup import check_warmup_extra
from tfflows.tables import TableFlow
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.finite_weights import check_finite_weights

if TYPE_CHECKING:
    from tfflows.anomaly.saved_detector import SavedDetector


def export_detector(
    saved: "SavedDetector", filepath: str | Path, format: str, *, warmup: bool
) -> Path | str:
    """Write a SavedModel; the arguments and errors are those of `AnomalyDetector.export`."""
    if format != "tf_saved_model":
        raise ValueError(
            f"A detector is exported as a SavedModel: expected `format` to be 'tf_saved_model'. "
            f"Received: {format!r}"
        )
    check_finite_weights(saved.weights)
    if warmup:
        check_warmup_extra()
    target = next_version(filepath)
    if keras.backend.backend() != "tensorflow":
        export_in_tensorflow(saved, target, {"warmup": warmup})
        return target
    from tfflows.anomaly import signatures

    model = saved.models[0]
    facts = {
        "detector": {"score": saved.score_name, **saved.arguments},
        "threshold": -saved.threshold,
    }
    if isinstance(model, TableFlow):
        facts |= {"table_schema": model.schema.get_config()}
    else:
        facts |= facts_of_flow(model)
    with replaced_on_success(target) as temporary:
        functions: dict[str, Any] = signatures.detect_signatures(saved)
        requests = signatures.example_requests(saved, functions) if warmup else None
        functions["serving_default"] = functions["detect"]
        write_saved_model(temporary, saved, functions, facts, requests)
    return target
