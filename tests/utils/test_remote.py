"""Paths of other file systems: written whole, or refused with what to do."""

import numpy as np
import pytest
from marks import needs_tensorflow

import tfflows
from tfflows import layers, zoo
from tfflows.runs.run import run_recipe
from tfflows.serving.versions import next_version
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.remote import exists, is_remote, remote_name
from tfflows.zoo.sources import cache_folder

X = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")


@pytest.fixture
def flow():
    return tfflows.Flow([layers.DiagonalScaling()], (2,))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("gs://b/m.keras", True), ("gs:/b/m.keras", True), ("C:/m", False), ("a/b:c", False)],
)
def test_remote_paths_are_told_from_local_ones(path, wanted):
    assert is_remote(path) == wanted
    assert remote_name("gs:/b/c") == "gs://b/c"


@needs_tensorflow
def test_models_are_written_to_other_file_systems_and_read_back(flow, tmp_path, monkeypatch):
    import keras
    import tensorflow as tf

    monkeypatch.chdir(tmp_path)
    flow.flow_layers[0].log_scale.assign([1.0, 2.0])
    wanted = flow.log_prob(X)
    flow.save("ram://models/flow.keras")
    loaded = keras.saving.load_model("ram://models/flow.keras")
    np.testing.assert_array_equal(loaded.log_prob(X), wanted)
    flow.save_weights("ram://models/flow.weights.h5")
    assert exists("ram://models/flow.weights.h5")
    assert flow.export("ram://models/served") == "ram://models/served/1"
    assert next_version("ram://models/served") == "ram://models/served/2"
    with pytest.raises(FileExistsError, match=r"ram://models/served/1 exists.*served/ for"):
        flow.export("ram://models/served/1")
    served = tf.saved_model.load("ram://models/served/1").signatures["log_prob"]
    np.testing.assert_allclose(served(x=X)["log_prob"], wanted, rtol=1e-5)
    assert list(tmp_path.iterdir()) == []


@needs_tensorflow
def test_a_remote_file_that_fails_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError):
        write("ram://failed/a.txt", fails=True)
    assert not exists("ram://failed/a.txt")
    with pytest.raises(OSError, match=r"^nowhere://b/a.txt could not be written.*local path"):
        write("nowhere://b/a.txt")
    assert list(tmp_path.iterdir()) == []


def write(path, fails=False):
    with replaced_on_success(path) as temporary:
        temporary.write_text("some")
        if fails:
            raise RuntimeError


def test_runs_models_and_caches_are_refused_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFFLOWS_CACHE", "gs://bucket/cache")
    for call in (
        lambda: run_recipe(None, "gs://bucket/run"),
        lambda: zoo.save_to_zoo("run", "gs://bucket/model", licence="", limitations=""),
        lambda: tfflows.load_model("gs://bucket/flow.keras"),
        cache_folder,
    ):
        with pytest.raises(ValueError, match=r"must be on this machine.*Received: gs://bucket/"):
            call()
    assert list(tmp_path.iterdir()) == []
