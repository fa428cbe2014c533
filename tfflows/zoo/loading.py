"""From a model of the zoo, or a .keras file, to a flow."""

import json
from pathlib import Path

import keras
from keras.src.saving.serialization_lib import SafeModeScope  # Keras exports no such scope

from tfflows import distributions, layers, models, networks, transforms  # noqa: F401, registered
from tfflows.flow import Flow
from tfflows.utils.errors import first_paragraph
from tfflows.zoo.sources import find


def load(name: str | Path, load_weights: bool = True) -> Flow:
    """A model of the zoo, not compiled.

    All files of the model have the hashes of its card before any is used. Nothing is unpickled, and
    Keras' safe mode is on, whatever the process has set.

    Args:
        name: a name, a folder or a URL; see `tfflows.zoo.find`.
        load_weights: False gives the untrained model.

    Raises:
        FileNotFoundError, OSError, ValueError: as `tfflows.zoo.find`.
        ValueError: the model is not a flow, or its weights are those of another one.

    Example:
        flow = tfflows.zoo.load("glow-mnist")
    """
    return load_folder(find(name), load_weights)


def load_folder(folder: Path, load_weights: bool = True) -> Flow:
    """The flow of a model's folder, whose hashes are checked already."""

    def read():
        config = json.loads((folder / "config.json").read_text("utf-8"))
        with SafeModeScope(True):  # an argument loses against enable_unsafe_deserialization()
            return keras.saving.deserialize_keras_object(config)

    flow = _read_flow(read, folder)
    if load_weights:
        flow.load_weights(folder / "model.weights.h5")
    return flow


def load_keras_file(path: Path) -> Flow:
    """The flow of a .keras file, not compiled; ValueError if it is not readable or not a flow."""
    return _read_flow(lambda: keras.saving.load_model(path, compile=False), path)


def _read_flow(read, source):
    try:
        flow = read()
    except Exception as error:  # whatever zip, json, h5py, Keras or a layer's arguments raise
        raise ValueError(f"{source} is not a readable model: {first_paragraph(error)}") from error
    if not isinstance(flow, Flow):
        raise ValueError(f"{source} holds a {type(flow).__name__}, which is not a flow")
    return flow
