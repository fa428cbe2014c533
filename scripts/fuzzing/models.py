"""Kinds of saved models: archives of Keras, weights, cards and SavedModels."""

import functools
import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from fuzzing.kinds import kind
from fuzzing.mutations import damage


@functools.cache
def _flow():
    """A small flow; the worker and the maker of files each have one."""
    import keras

    import tfflows

    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.layers.Dense(4, "gelu"), keras.layers.LayerNormalization()])
    layers = [
        tfflows.layers.Standardize(),
        tfflows.layers.AffineCoupling(conditioner=network),
        tfflows.layers.MaskedAutoregressive(hidden_units=[4]),
    ]
    return tfflows.Flow(layers, (2,))


@functools.cache
def _members() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flow.keras"
        _flow().save(path)
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


@kind("keras")
class Keras:
    """Archives of Keras, of which most are damaged within their members."""

    suffix = ".keras"

    def make(self, rng):
        file, inside = io.BytesIO(), rng.uniform() < 0.8
        method = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED][rng.integers(2)]
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in _members().items():
                if inside and rng.uniform() < 0.6:
                    content = damage(content, rng, name.endswith(".json"))
                archive.writestr(name, content, compress_type=method)
        return file.getvalue() if inside else damage(file.getvalue(), rng, False)

    def read(self, path):
        import tfflows

        tfflows.load_model(path)


@kind("weights")
class Weights:
    """Files of weights."""

    suffix = ".weights.h5"

    def make(self, rng):
        return damage(_members()["model.weights.h5"], rng, False)

    def read(self, path):
        _flow().load_weights(path)


@functools.cache
def _card() -> str:
    """A card whose hash is left out, so that what it says is looked at."""
    from tfflows.zoo.model_card import FILES

    file = {"bytes": 1, "sha256": "0" * 64}
    return json.dumps({
        "format": 1, "name": "maf-moons", "family": "maf", "data": {
            "name": "moons", "source": "made", "licence": "none", "event_shape": [2],
            "levels": None, "classes": None, "preprocessing": "none", "train": 1, "validation": 1,
            "test": 1,
        }, "parameters": 1, "metric": {
            "units": "nats", "value": 1.0, "standard_error": 0.1, "num_examples": 1, "num_draws": 1,
        }, "published": None, "training": {
            "seed": 0, "epochs": 1, "best_epoch": 1, "minutes": 0.5, "machine": "this", "versions":
            {"keras": "3"},
        }, "limitations": "all", "files": dict.fromkeys(FILES, file), "sha256": "0" * 64,
    }, indent=2)  # fmt: skip


@kind("card")
class Card:
    """Cards of models of a zoo."""

    suffix = ".json"

    def make(self, rng):
        return damage(_card().encode(), rng, True)

    def read(self, path):
        from tfflows.zoo.model_card import CARD, read_card

        assert path.name == CARD, path
        read_card(path.parent)


SAVED_MODEL = Path(__file__).resolve().parents[2] / "savedmodels/realnvp-8gaussians/1"


@kind("graph")
class Graph:
    """Graphs of SavedModels, as they are looked at before TensorFlow sees them."""

    suffix = ".pb"

    def make(self, rng):
        return damage((SAVED_MODEL / "saved_model.pb").read_bytes(), rng, False)

    def read(self, path):
        from tfflows.serving.graph_operations import check_operations

        target = path.with_name("saved_model.pb")
        path.replace(target)
        try:
            check_operations(path.parent)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error


@kind("served")
class Served:
    """SavedModels of which one file is damaged."""

    suffix = ".bin"
    files = (
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
    )

    def make(self, rng):
        number = int(rng.integers(3))
        return bytes([number]) + damage((SAVED_MODEL / self.files[number]).read_bytes(), rng, False)

    def read(self, path):
        import shutil

        from tfflows.serving import ServedFlow

        content = path.read_bytes()
        with tempfile.TemporaryDirectory(suffix=path.name) as folder:
            target = Path(folder) / "model"
            shutil.copytree(SAVED_MODEL, target)
            (target / self.files[content[0]]).write_bytes(content[1:])
            served = ServedFlow(target)
            served.log_prob(np.zeros((3, 2), "float32"))
