"""Saved flows of every kind: a .keras file, a run, a SavedModel, a model of the zoo."""

from pathlib import Path

from tfflows import zoo
from tfflows.flow import Flow
from tfflows.serving.served_flow import ServedFlow
from tfflows.utils.remote import refuse_remote
from tfflows.zoo.loading import load_keras_file


def load_model(filepath: str | Path) -> Flow | ServedFlow:
    """The flow in a .keras file, a run (its best one), a SavedModel or a model of the zoo.

    Example:
        flow = tfflows.load_model("zoo:realnvp-2spirals")
        log_p = flow.log_prob(flow.sample(16, seed=0))

    Args:
        filepath: a .keras file, the folder of a run, of a SavedModel or of a model of the zoo, or
            "zoo:NAME".

    Returns:
        A `Flow`, not compiled; a `ServedFlow` for a SavedModel.

    Raises:
        OSError: nothing is there.
        ValueError: what is there cannot be read, or is not a flow.
    """
    if isinstance(filepath, str) and filepath.startswith("zoo:"):
        return zoo.load(filepath.removeprefix("zoo:"))
    refuse_remote("A model to load", filepath)
    path = Path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"There is no model at {path}")
    if zoo.is_model(path):
        return zoo.load(path)
    if path.is_dir() and not (path / "best.keras").exists():
        return ServedFlow(path)
    path = path / "best.keras" if path.is_dir() else path
    return load_keras_file(path)
