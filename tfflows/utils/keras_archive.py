""".keras files and configs from elsewhere: looked at before Keras makes anything of them."""

import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import keras
from keras.src.saving.serialization_lib import (  # Keras exports neither scope
    ObjectSharingScope,
    SafeModeScope,
)

from tfflows.utils.bounded_json import MAX_BYTES, parse_json
from tfflows.utils.errors import first_paragraph, is_of_system
from tfflows.utils.safe_config import check_config
from tfflows.utils.sizes import check_members

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
RUN_STATE = "run_state.json"  # of a run's last.keras
MEMBERS = {CONFIG: MAX_BYTES, "metadata.json": MAX_BYTES, WEIGHTS: None, RUN_STATE: MAX_BYTES}

Model = TypeVar("Model", bound=keras.Model)


def read_archive(
    path: Path,
    kind: type[Model] | tuple[type[Model], ...],
    compile: bool = False,
    custom_objects: Mapping[str, Any] | None = None,
) -> Model:
    """The model in a .keras file, whose members, sizes, classes and weights are checked first.

    Args:
        path: the file.
        kind: class of the model that is expected, or several.
        compile: whether to compile it as it was, with its optimizer's state.
        custom_objects: the user's own classes and functions by name.

    Raises:
        ValueError: the file is not a model of this kind, is damaged, holds more than it should, or
            names a class that is not listed (see `check_config`). Nothing is left behind.
    """
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            check_members(archive, path, MEMBERS)
            config = parse_json(archive.read(CONFIG), f"{path}: {CONFIG}")
            if not compile and isinstance(config, dict):
                config["compile_config"] = None
            model = make_model(config, f"{path}: {CONFIG}", kind, custom_objects)
            weights = archive.extract(WEIGHTS, folder)
            try:
                model.load_weights(weights)
            except ValueError as error:  # which names the file that is gone by now
                message = str(error).replace(weights, f"{path}: {WEIGHTS}")
                raise ValueError(message) from error
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError) as error:
        if is_of_system(error):
            raise
        raise ValueError(f"{path} is not a readable model: {first_paragraph(error)}") from error
    return model


def make_model(
    config: Any,
    source: str,
    kind: type[Model] | tuple[type[Model], ...],
    custom_objects: Mapping[str, Any] | None = None,
) -> Model:
    """The model of a config, by Keras in its safe mode, whatever the process has set.

    Args:
        config: what JSON holds.
        source: what was read, for errors.
        kind: class of the model that is expected, or several.
        custom_objects: the user's own classes and functions by name.

    Raises:
        ValueError: it is of another kind, cannot be made, or names a class that is not listed.
    """
    check_config(config, source, custom_objects)
    try:
        with SafeModeScope(True), ObjectSharingScope():
            model = keras.saving.deserialize_keras_object(config, dict(custom_objects or {}))
    except Exception as error:  # whatever Keras or a layer's arguments raise
        raise ValueError(f"{source} is not a readable model: {first_paragraph(error)}") from error
    if not isinstance(model, kind):
        raise ValueError(f"{source} holds a {type(model).__name__}, which is not a flow")
    return model
