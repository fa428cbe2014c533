"""A model as bytes, which workers on other machines load."""

import dataclasses
import hashlib
import io
import tempfile
import zipfile
from pathlib import Path

from tfflows.flow import Flow
from tfflows.saving import load_flow
from tfflows.serving.description import hash_weights
from tfflows.serving.served_flow import ServedFlow


@dataclasses.dataclass(frozen=True)
class ShippedModel:
    """A .keras file or the folder of a SavedModel as bytes.

    Attributes:
        kind: "flow.keras" or "savedmodel".
        content: a .keras file, or a zip of the SavedModel's folder.
        fingerprint: sha256 of the weights, by which two models are told apart.
    """

    kind: str
    content: bytes = dataclasses.field(repr=False)
    fingerprint: str

    @classmethod
    def of(cls, flow: Flow | ServedFlow) -> "ShippedModel":
        """What `tfflows.load_model` gave, as bytes."""
        if isinstance(flow, ServedFlow):
            variables = sorted((flow.folder / "variables").glob("*"))
            digest = hashlib.sha256(b"".join(path.read_bytes() for path in variables))
            return cls("savedmodel", _zipped(flow.folder), digest.hexdigest())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "flow.keras"
            flow.save(path)
            return cls("flow.keras", path.read_bytes(), hash_weights(flow.weights))

    def load(self) -> Flow | ServedFlow:
        """The model, in this process."""
        with tempfile.TemporaryDirectory() as folder:
            return load_flow(self.write(Path(folder)))

    def write(self, folder: Path) -> Path:
        """Write the model into a folder; returns what `tfflows.load_model` takes."""
        path = folder / self.kind
        if self.kind == "flow.keras":
            path.write_bytes(self.content)
        else:
            with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                archive.extractall(path)
        return path


def _zipped(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()
