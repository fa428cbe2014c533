"""From a model of the zoo, or a .keras file, to a flow."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from tfflows import (  # noqa: F401, registered
    distributions,
    energies,
    layers,
    models,
    networks,
    tfp,
    transforms,
    vae,
)
from tfflows.anomaly.detector import AnomalyDetector
from tfflows.anomaly.saved_detector import SavedDetector
from tfflows.flow import Flow
from tfflows.tables.table_flow import TableFlow
from tfflows.utils.bounded_json import read_json
from tfflows.utils.errors import first_paragraph
from tfflows.utils.keras_archive import CONFIG, WEIGHTS, Model, make_model, read_archive
from tfflows.zoo.model_card import read_card
from tfflows.zoo.sources import find


def load(name: str | Path, load_weights: bool = True) -> Flow | TableFlow | AnomalyDetector:
    """A model of the zoo, not compiled.

    All files of the model have the hashes of its card before any is used. Its config names classes
    of tfflows and of a short list of Keras (`tfflows.utils.safe_config`), nothing is unpickled, and
    Keras' safe mode is on, whatever the process has set.

    Args:
        name: a name, a folder or a URL; see `tfflows.zoo.find`.
        load_weights: False gives the untrained model.

    Returns:
        A `Flow`, a `TableFlow` or an `AnomalyDetector`, as the `kind` of its card says.

    Raises:
        FileNotFoundError, OSError, ValueError: as `tfflows.zoo.find`.
        ValueError: the model is not a flow, names a class that is not listed, or its weights are
            those of another one or not finite; or a detector is asked for without its weights.

    Example:
        flow = tfflows.zoo.load("glow-mnist")
    """
    folder = find(name)
    if not load_weights and read_card(folder).kind == "detector":
        raise ValueError(f"{name} is a detector, which is nothing without its weights")
    return load_folder(folder, load_weights)


def load_folder(folder: Path, load_weights: bool = True) -> Flow | TableFlow | AnomalyDetector:
    """The model of a folder, whose hashes are checked already."""
    path = folder / CONFIG
    model = make_model(read_json(path), str(path), (Flow, TableFlow, SavedDetector))
    if load_weights:
        model.load_weights(folder / WEIGHTS)
    return model.restore(AnomalyDetector()) if isinstance(model, SavedDetector) else model


def write_model(model: Flow | TableFlow | SavedDetector, folder: Path) -> None:
    """Write a model's config and weights, as in a .keras archive, without an optimizer."""
    # A flow that was loaded without compiling has no optimizer to save.
    config = keras.saving.serialize_keras_object(model)
    (folder / CONFIG).write_text(json.dumps(config))
    model.save_weights(folder / WEIGHTS)


def load_keras_file(
    path: Path,
    kind: type[Model] | tuple[type[Model], ...],
    custom_objects: Mapping[str, Any] | None = None,
    unsafe: bool = False,
) -> Model:
    """The flow of a .keras file, not compiled.

    Args:
        path: the file.
        kind: class of the model that is expected, or several.
        custom_objects: the user's own classes and functions by name.
        unsafe: whether Keras makes whatever the file names, lambdas as well, without any check.

    Raises:
        ValueError: the file is not readable, not a flow, or names a class that is not listed.
    """
    if not unsafe:
        return read_archive(path, kind, custom_objects=custom_objects)
    try:
        flow = keras.saving.load_model(path, custom_objects, compile=False, safe_mode=False)
    except Exception as error:  # whatever zip, json, h5py, Keras or a layer's arguments raise
        raise ValueError(f"{path} is not a readable model: {first_paragraph(error)}") from error
    if not isinstance(flow, kind):
        raise ValueError(f"{path} holds a {type(flow).__name__}, which is not a flow")
    return flow
