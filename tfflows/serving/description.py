"""What a SavedModel says of itself beside the graph: assets.extra/tfflows.json."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from tfflows.utils.bounded_json import read_json

if TYPE_CHECKING:
    from tfflows.training.density import Density

DESCRIPTION_FILE = Path("assets.extra") / "tfflows.json"
FORMAT = 1


def write_description(folder: Path, model: keras.Model, facts: Mapping[str, Any]) -> None:
    """Write what a model is into the SavedModel in a version folder; no server reads it.

    Args:
        folder: of the SavedModel.
        model: which was exported.
        facts: what there is to say of its kind, as JSON can hold it.
    """
    content = {
        "format": FORMAT,
        "versions": {name: version(name) for name in ("tfflows", "keras", "tensorflow")},
        "model": type(model).__name__,
        "parameters": model.count_params(),
        **facts,
        "weights_sha256": hash_weights(model.weights),
    }
    path = folder / DESCRIPTION_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def facts_of_flow(flow: "Density") -> dict[str, Any]:
    """What the description of a flow over arrays says."""
    schema = getattr(flow, "data_schema", None)
    return {
        "event_shape": flow.event_shape,
        "latent_shape": flow.latent_shape,
        "condition_shape": flow.condition_shape,
        "is_discrete": flow.is_discrete,
        "is_noisy": flow.is_noisy,
        "is_bijective": flow.is_bijective,
        "data_range": flow.data_range,
        "data_schema": schema.get_config() if schema else {},
    }


def read_description(folder: Path) -> dict[str, Any] | None:
    """What the SavedModel in a version folder says of itself; None where it says nothing.

    Raises:
        ValueError: it is not JSON, or of a newer version.
    """
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise ValueError(f"{path}: Expected the description of a flow, a dict with a format")
    if content["format"] > FORMAT:
        raise ValueError(
            f"{path}: this tfflows reads descriptions of format {FORMAT}. "
            f"Received: {content['format']}, of a newer version; update tfflows"
        )
    return content


def hash_weights(weights: Iterable) -> str:
    """sha256 of weights in their order: of dtype, shape and values of each."""
    digest = hashlib.sha256()
    for weight in weights:
        value = np.ascontiguousarray(ops.convert_to_numpy(weight))
        digest.update(f"{value.dtype.name} {value.shape} ".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
