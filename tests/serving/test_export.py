"""Exported SavedModels against the live model, served by a process without tfflows."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow
from model_table import MODELS, data_for, small_flow

from tfflows import distributions, layers
from tfflows.serving.graph_operations import check_operations


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


CONDITIONAL = (
    "ffjord", "glow", "made_mixture", "maf", "multi_scale_ffjord", "multi_scale_real_nvp", "nsf",
    "real_nvp",
)  # fmt: skip
# The inverse of these is a loop that XLA compiles once per batch size, for seconds.
LOOPS = ("iaf", "made", "maf", "nsf_autoregressive")


def make_model(name):
    """Each model of the table, some with a condition."""
    return MODELS[name](condition_shape=(3,)) if name in CONDITIONAL else MODELS[name]()


FLOWS = {
    **{name: functools.partial(make_model, name) for name in MODELS},
    "base_mixture": lambda: small_flow(None, 2, base=distributions.MixtureOfGaussians(3, seed=0)),
    "base_of_classes": lambda: small_flow(
        (3,), 2, base=distributions.DiagonalNormal(num_classes=3)
    ),
    "standardized": lambda: small_flow(None, 2, preprocessing=[layers.Standardize()]),
    "float64": lambda: small_flow(None, 2, dtype="float64"),
}
# Like others, and long to trace: a solver (ffjord), scales (glow), couplings (real_nvp, which
# standardizes first), a network of masks (made_mixture).
SLOW = (
    "base_of_classes", "iaf", "jet", "made", "multi_scale_ffjord", "multi_scale_real_nvp", "nsf",
    "nsf_autoregressive", "real_nvp_batch_norm", "standardized",
)  # fmt: skip
# A JAX process starts a TensorFlow one for each export: one of them shows what all would.
TRIED = list(FLOWS) if keras.backend.backend() == "tensorflow" else ["real_nvp"]
EXPECTED = ["decode", "encode", "log_prob", "sample", "sample_seeds", "serving_default"]


@pytest.fixture(scope="module")
def server():
    """A process that has TensorFlow and no tfflows, and serves one SavedModel after the other."""
    script = Path(__file__).parents[1] / "helpers" / "call_saved_model.py"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    with subprocess.Popen([sys.executable, script], **pipes, env=environment) as process:
        yield process
        process.stdin.close()


def serve(server, folder, tmp_path, requests):
    """Answers of the SavedModel in the other process: {"<call>": {...output arrays}}."""
    np.savez(tmp_path / "requests.npz", **requests)
    paths = (folder, tmp_path / "requests.npz", tmp_path / "answers.npz")
    server.stdin.write("\t".join(map(str, paths)) + "\n")
    server.stdin.flush()
    assert server.stdout.readline() == "done\n"
    return np.load(tmp_path / "answers.npz")


def conditions(flow, n):
    if flow.condition_shape is None:
        return None
    return np.eye(flow.condition_shape[0], dtype="float32")[np.arange(n) % flow.condition_shape[0]]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in TRIED]
)
def test_every_signature_gives_what_the_live_model_gives(name, server, tmp_path):
    flow = randomize(FLOWS[name](), spread=0.1)
    dtype = flow.compute_dtype
    target = flow.export(tmp_path / "flow" / "1")
    check_operations(target)  # ServedFlow takes it
    requests, wanted = {}, {}

    def ask(call, signature, outputs, condition, **inputs):
        wanted.update({f"{call}/{key}": value for key, value in outputs.items()})
        if condition is not None:
            inputs["condition"] = condition.astype(dtype)
        requests.update({f"{call}/{signature}/{key}": v for key, v in inputs.items()})

    sizes = (0, 20) if name in LOOPS else (0, 1, 200)
    x, c = data_for(flow, sizes[-1]).astype(dtype), conditions(flow, sizes[-1])
    log_prob, z = numpy(flow.log_prob(x, c)), numpy(flow.encode(x, c))
    decoded = numpy(flow.inverse(z, c))
    for n in sizes:
        part = None if c is None else c[:n]
        ask(f"log_prob{n}", "log_prob", {"log_prob": log_prob[:n]}, part, x=x[:n])
        ask(f"encode{n}", "encode", {"z": z[:n]}, part, x=x[:n])
        ask(f"decode{n}", "decode", {"x": decoded[:n]}, part, z=z[:n])
    part = None if c is None else c[:3]
    ask("default", "serving_default", {"log_prob": log_prob[:3]}, part, x=x[:3])
    c = conditions(flow, 20)
    for seed in (5, 6):
        # The backends' generators differ; a SavedModel draws what TensorFlow does.
        x = {}
        if keras.backend.backend() == "tensorflow":
            x = {"x": flow.sample(20, c, seed=seed, temperature=0.8)}
        draw = {"num_samples": np.int32(20), "seed": np.asarray([seed, 0], "int32")}
        temperature = np.float32(0.8)
        ask(f"sample{seed}", "sample", x, c, temperature=temperature, **draw)
        ask(f"again{seed}", "sample", {}, c, temperature=temperature, **draw)
    seeds = np.stack([np.arange(20), np.full(20, 3)], 1).astype("int32")
    ask("seeds", "sample_seeds", {}, c, seeds=seeds)
    part = None if c is None else c[6:9]
    ask("neighbours", "sample_seeds", {}, part, seeds=seeds[6:9])

    answers = serve(server, target, tmp_path, requests)
    assert answers["signatures"].tolist() == EXPECTED
    # A float32 encoding is off by an ulp between two graphs; a pixel may then round either way.
    levels = {"atol": 1.0 if flow.is_discrete else 1e-5}
    for key, value in wanted.items():
        value = numpy(value)
        assert answers[key].shape == value.shape, key
        tolerance = levels if key.endswith("/x") else {"atol": 1e-5 * max(1, _scale(value))}
        np.testing.assert_allclose(answers[key], value, rtol=1e-5, err_msg=key, **tolerance)
        if key.endswith("/x") and flow.is_discrete and value.size:
            assert (answers[key] != value).mean() < 1e-3
    np.testing.assert_array_equal(answers["again5/x"], answers["sample5/x"])
    assert np.abs(answers["sample5/x"] - answers["sample6/x"]).max() > 1e-3
    rows = answers["seeds/x"]
    assert len(np.unique(rows.reshape(20, -1), axis=0)) == 20
    np.testing.assert_allclose(answers["neighbours/x"], rows[6:9], atol=1e-5)


def _scale(value):
    return np.abs(value).max(initial=0.0)


@needs_tensorflow
def test_a_saved_model_scores_and_draws_as_a_density(tmp_path):
    """sample_seeds draws from the same distribution as sample."""
    import scipy.stats
    import tensorflow as tf

    flow = randomize(small_flow())
    served = tf.saved_model.load(flow.export(tmp_path / "1")).signatures
    seeds = tf.stack([tf.range(3000), tf.zeros(3000, tf.int32)], axis=1)
    by_row = served["sample_seeds"](seeds=seeds)["x"].numpy()
    by_batch = numpy(flow.sample(3000, seed=0))
    for i in range(2):
        assert scipy.stats.ks_2samp(by_row[:, i], by_batch[:, i]).pvalue > 1e-3


@needs_tensorflow
def test_versions_are_numbered_and_never_replaced(tmp_path):
    flow = small_flow(num_couplings=1)
    assert flow.export(tmp_path / "moons") == tmp_path / "moons" / "1"
    assert flow.export(tmp_path / "moons") == tmp_path / "moons" / "2"
    assert flow.export(tmp_path / "moons" / "7").name == "7"
    assert flow.export(tmp_path / "moons").name == "8"
    with pytest.raises(FileExistsError, match="never replaced"):
        flow.export(tmp_path / "moons" / "7")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="which is a file"):
        flow.export(tmp_path / "file")
    assert sorted(p.name for p in (tmp_path / "moons").iterdir()) == ["1", "2", "7", "8"]


@needs_tensorflow
def test_a_failed_export_or_save_leaves_what_was_there(tmp_path, monkeypatch):
    import tensorflow as tf

    flow = small_flow(num_couplings=1)
    path = tmp_path / "flow.keras"
    flow.save(path)
    good = path.read_bytes()

    def disk_full(obj, target, *args, **kwargs):
        Path(target).mkdir(exist_ok=True)
        (Path(target) / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        flow.export(tmp_path / "moons" / "1")
    assert list((tmp_path / "moons").iterdir()) == []

    def half_written(self, target, *args, **kwargs):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", half_written)
    with pytest.raises(OSError, match="No space left"):
        flow.save(path)
    assert path.read_bytes() == good
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flow.keras", "moons"]
