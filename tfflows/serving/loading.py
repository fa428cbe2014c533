"""SavedModels from a folder, whose operations and weights are checked."""

from pathlib import Path
from typing import Any

from tfflows.serving.description import DESCRIPTION_FILE, hash_weights, read_description
from tfflows.serving.graph_operations import check_operations
from tfflows.serving.versions import latest_version
from tfflows.utils.errors import first_paragraph
from tfflows.utils.finite_weights import check_finite_weights


def load_saved_model(
    filepath: str | Path, unsafe: bool = False
) -> tuple[Path, Any, dict[str, Any] | None]:
    """Its version folder, the model as TensorFlow loads it, and its description or None.

    Args:
        filepath: a version folder, or a model folder, of which the latest version is taken.
        unsafe: True loads a SavedModel whatever its operations do.

    Raises:
        FileNotFoundError: there is no SavedModel.
        ValueError: it is damaged, its weights are not finite or not those of its description, or
            one of its operations may touch files, networks, processes or Python; nothing was run
            in that case.
    """
    import tensorflow as tf

    folder = latest_version(Path(filepath))
    if not unsafe:
        check_operations(folder)
    description = read_description(folder)
    try:
        model = tf.saved_model.load(str(folder))
    except Exception as error:  # whatever TensorFlow makes of a damaged graph or checkpoint
        raise ValueError(
            f"{folder} is not a readable SavedModel: {first_paragraph(error)[:300]}"
        ) from error
    weights = getattr(model, "weights", ())
    check_finite_weights(weights, str(folder))
    stated = (description or {}).get("weights_sha256")
    if stated is not None and stated != (found := hash_weights(weights)):
        raise ValueError(
            f"{folder} has other weights than {DESCRIPTION_FILE} says. "
            f"Expected: sha256 {stated}. Received: {found}"
        )
    return folder, model, description
