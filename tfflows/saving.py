"""Saved flows of every kind: a .keras file, a run, a SavedModel, a model of the zoo."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfflows import zoo
from tfflows.anomaly.detector import AnomalyDetector
from tfflows.anomaly.saved_detector import SavedDetector
from tfflows.anomaly.served_detector import ServedDetector, is_detector
from tfflows.flow import Flow
from tfflows.serving.description import read_description
from tfflows.serving.served_flow import ServedFlow
from tfflows.serving.versions import latest_version
from tfflows.tables.served_table import ServedTable, is_table
from tfflows.tables.table_flow import TableFlow
from tfflows.utils.remote import refuse_remote
from tfflows.zoo.loading import load_keras_file


def load_model(
    filepath: str | Path,
    custom_objects: Mapping[str, Any] | None = None,
    unsafe: bool = False,
) -> Flow | ServedFlow | TableFlow | ServedTable | AnomalyDetector | ServedDetector:
    """The flow in a .keras file, a run (its best one), a SavedModel or a model of the zoo.

    A .keras file may name classes of tfflows, those that the user's own modules registered, and
    layers of Keras by a list (`tfflows.utils.safe_config`). A SavedModel may hold no operation that
    touches files, networks, processes or Python.

    Example:
        flow = tfflows.load_model("zoo:realnvp-2spirals")
        log_p = flow.log_prob(flow.sample(16, seed=0))

    Args:
        filepath: a .keras file, the folder of a run, of a SavedModel or of a model of the zoo, or
            "zoo:NAME".
        custom_objects: classes and functions of the user's own by name, where they are not
            registered, for a .keras file.
        unsafe: True takes whatever a .keras file or a SavedModel holds, without a check. Both are
            programs then: only for sources that are trusted like one.

    Returns:
        A `Flow` or `TableFlow`, not compiled, or an `AnomalyDetector`; a `ServedFlow`,
        `ServedTable` or `ServedDetector` for a SavedModel.

    Raises:
        OSError: nothing is there.
        ValueError: what is there cannot be read, is not a flow, or holds what is not listed.
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
        folder = latest_version(path)
        description = read_description(folder)
        if is_detector(description):
            return ServedDetector(folder, unsafe)
        return (ServedTable if is_table(description) else ServedFlow)(folder, unsafe)
    path = path / "best.keras" if path.is_dir() else path
    kinds = (Flow, TableFlow, SavedDetector)
    model = load_keras_file(path, kinds, custom_objects, unsafe)
    return model.restore(AnomalyDetector()) if isinstance(model, SavedDetector) else model


def load_flow(filepath: str | Path) -> Flow | ServedFlow:
    """As `load_model`, of a flow over arrays; ValueError for one over a table."""
    flow = load_model(filepath)
    if not isinstance(flow, Flow | ServedFlow):
        raise ValueError(
            f"Expected a flow over arrays. Received: the {type(flow).__name__} of {filepath}"
        )
    return flow
