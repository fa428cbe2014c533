"""Runs in a folder: what they write, and that a killed one ends like one that was not."""

import json
import operator
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.stats

from tfflows import Flow, datasets, layers
from tfflows.runs.diagnose import explain
from tfflows.runs.lock import locked
from tfflows.runs.recipe import read_recipe
from tfflows.runs.report import report_run
from tfflows.runs.run import run_recipe
from tfflows.runs.schedule import resolve_steps, warn_of_length

OLD = Path(__file__).parents[1] / "data" / "version_0_1"

RECIPE = """
name: small
seed: 3
data: {name: digits, conditional: true}
preprocessing: {logit: 0.05}
model: {name: realnvp, arguments: {num_couplings: 2, hidden_units: [8]}}
optimizer: {learning_rate: 1e-3, warmup_steps: 5, weight_decay: 1e-3, clipnorm: 50, ema: 0.9}
training: {epochs: 6, batch_size: 64, steps_per_epoch: 15}
backend: {jit: false}
"""


def write(folder, text=RECIPE):
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run_recipe(read_recipe(write(folder)), folder / "run", verbose=0)
    return folder / "run"


def test_a_mixed_precision_run_keeps_its_best_model_in_float32(tmp_path):
    text = RECIPE.replace("jit: false", "jit: false, mixed_precision: true")
    text = text.replace("epochs: 6", "epochs: 2")
    best = run_recipe(read_recipe(write(tmp_path, text)), tmp_path / "run", verbose=0)
    flow = keras.saving.load_model(best)
    assert flow.dtype_policy.name == flow.flow_layers[-1].conditioner.dtype_policy.name == "float32"
    last = keras.saving.load_model(tmp_path / "run" / "last.keras")
    assert last.dtype_policy.name == "mixed_bfloat16"
    x, y = datasets.load_arrays("digits", "validation", condition=True)[0]
    nll = -np.mean(keras.ops.convert_to_numpy(flow.log_prob(x, y)))
    assert abs(nll - metrics(tmp_path / "run")[-1]["val_nll"]) < 0.01 * nll


def test_a_run_leaves_recipe_versions_metrics_and_models(whole):
    assert read_recipe(whole / "recipe.yaml").seed == 3
    run = json.loads((whole / "run.json").read_text())
    assert run["versions"]["keras"] == keras.__version__
    assert run["data"]["shape"] == [1437, 8, 8, 1]
    rows = metrics(whole)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows] == [15, 30, 45, 60, 75, 90]
    assert rows[-1]["val_nll"] < rows[0]["val_nll"]
    assert list((whole / "tensorboard").iterdir())


def test_the_best_model_is_the_averaged_one_that_validation_saw(whole):
    from tfflows import datasets

    (x, condition), _ = datasets.load_arrays("digits", "validation", condition=True)
    best = keras.saving.load_model(whole / "best.keras")
    lowest = min(row["val_nll"] for row in metrics(whole))
    np.testing.assert_allclose(-np.mean(best.log_prob(x, condition)), lowest, rtol=1e-5)
    last = keras.saving.load_model(whole / "last.keras")
    assert abs(-np.mean(last.log_prob(x, condition)) - lowest) > 1e-3


KILL = """
import sys
from tfflows.runs.recipe import read_recipe
from tfflows.runs.run import run_recipe
run_recipe(read_recipe(sys.argv[1]), sys.argv[2], verbose=0)
"""


def test_a_killed_run_ends_like_one_that_was_not(whole, tmp_path, capsys):
    recipe, folder = write(tmp_path), tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", KILL, str(recipe), str(folder)])
    while process.poll() is None and not (
        (folder / "metrics.jsonl").exists() and len(metrics(folder)) >= 2
    ):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with zipfile.ZipFile(folder / "last.keras") as archive:
        at_kill = json.loads(archive.read("run_state.json"))["epoch"]
    assert at_kill < 6
    assert len(metrics(folder)) - at_kill in (0, 1)

    run_recipe(read_recipe(recipe), folder, resume=True, verbose=0)
    assert [row["epoch"] for row in metrics(folder)] == [1, 2, 3, 4, 5, 6]
    for resumed, uninterrupted in zip(metrics(folder), metrics(whole), strict=True):
        for name in ("nll", "val_nll"):
            np.testing.assert_allclose(resumed[name], uninterrupted[name], atol=1e-4)
    finished = (folder / "last.keras").stat().st_mtime_ns
    capsys.readouterr()
    run_recipe(read_recipe(recipe), folder, resume=True)
    line = f"Nothing is left to train: {folder} ended after epoch 6\n"
    assert capsys.readouterr().out == line
    assert (folder / "last.keras").stat().st_mtime_ns == finished


def test_a_run_killed_before_its_first_checkpoint_begins_when_it_is_resumed(tmp_path):
    folder, recipe = tmp_path / "run", save_table(tmp_path)
    folder.mkdir()
    recipe.write(folder / "recipe.yaml")
    (folder / ".last.123.tmp.keras").write_text("half a file")
    other = recipe.model_copy(update={"seed": 7})
    with pytest.raises(ValueError, match=r"another recipe\. Different: seed: 0, now 7"):
        run_recipe(other, folder, resume=True)
    assert run_recipe(recipe, folder, resume=True, verbose=0).exists()
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_one_process_trains_in_a_folder(tmp_path):
    recipe = save_table(tmp_path)
    with (
        locked(tmp_path / "run"),
        pytest.raises(FileExistsError, match=r"Another process is training in .*run: wait"),
    ):
        run_recipe(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "x.npy").unlink()
    with pytest.raises(FileNotFoundError):
        run_recipe(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_epochs_lengthen_a_run_and_its_report_follows(tmp_path):
    recipe, folder = save_table(tmp_path), tmp_path / "run"  # of a constant learning rate
    run_recipe(recipe, folder, verbose=0)
    longer = read_recipe(tmp_path / "small.yaml", ["training.epochs=3"])
    run_recipe(longer, folder, resume=True, verbose=0)
    run_recipe(longer, tmp_path / "whole", verbose=0)
    for row, wanted in zip(metrics(folder), metrics(tmp_path / "whole"), strict=True):
        np.testing.assert_allclose(row["val_nll"], wanted["val_nll"], atol=1e-5)
    assert read_recipe(folder / "recipe.yaml").training.epochs == 3

    report = report_run(folder)
    test, _ = datasets.load_arrays(longer.data.name, "test")
    flow = keras.saving.load_model(folder / "best.keras")
    nll = [row["val_nll"] for row in metrics(folder)]
    assert (report.epochs, report.best_epoch) == (3, int(np.argmin(nll)) + 1)
    assert report.validation_nll == min(nll)
    np.testing.assert_allclose(report.test.log_likelihood, np.mean(flow.log_prob(test)), rtol=1e-5)
    train, _ = datasets.load_arrays(longer.data.name, "train")
    normal = scipy.stats.multivariate_normal(train.mean(axis=0), np.cov(train.T, ddof=0))
    expected = normal.logpdf(test).mean()
    np.testing.assert_allclose(report.gaussian.log_likelihood, expected, atol=1e-3)
    assert "which is not a clear gain" in str(report)
    assert json.loads((folder / "report.json").read_text())["epochs"] == 3


def test_a_report_says_why_there_are_no_test_rows(tmp_path):
    save_table(tmp_path)
    recipe = read_recipe(tmp_path / "small.yaml", ["data.options.test=0", "training.epochs=1"])
    run_recipe(recipe, tmp_path / "run", verbose=0)
    report = report_run(tmp_path / "run")
    assert report.test is report.gaussian is None
    assert "none for test" in report.why_no_test
    assert str(report).splitlines()[1] == f"No test: {report.why_no_test}"


def test_a_run_begins_with_the_weights_of_another_flow(tmp_path):
    recipe = save_table(tmp_path)
    best = keras.saving.load_model(run_recipe(recipe, tmp_path / "first", verbose=0))
    settings = ["model.weights=first", "optimizer.learning_rate=1e-12", "training.epochs=1"]
    warm = read_recipe(tmp_path / "small.yaml", settings)
    with pytest.raises(ValueError, match=r"weights=tfflows\.load_model\('first'\)"):
        run_recipe(warm, tmp_path / "second", verbose=0)
    again = run_recipe(warm, tmp_path / "second", verbose=0, weights=best)
    for ours, theirs in zip(keras.saving.load_model(again).weights, best.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    other = read_recipe(tmp_path / "small.yaml", [*settings, "model.arguments.hidden_units=[5]"])
    with pytest.raises(ValueError, match=r"same model: .*kernel has shape \(\d, 5\)\. Received"):
        run_recipe(other, tmp_path / "third", verbose=0, weights=best)
    deeper = read_recipe(tmp_path / "small.yaml", [*settings, "model.arguments.num_couplings=2"])
    with pytest.raises(ValueError, match=r"same model, with \d+ arrays\. Received: \d+"):
        run_recipe(deeper, tmp_path / "third", verbose=0, weights=best)


def test_a_warm_up_or_average_longer_than_the_run_is_said(tmp_path):
    recipe = read_recipe(write(tmp_path), ["optimizer.warmup_steps=200", "optimizer.ema=0.999"])
    with (
        pytest.warns(UserWarning, match="warms up for 200 of 90 steps"),
        pytest.warns(UserWarning, match="over about 1000 steps in a run of 90"),
        pytest.warns(UserWarning, match="a batch holds all 50 training rows"),
    ):
        warn_of_length(recipe, rows=50, total_steps=90)
    auto = read_recipe(write(tmp_path), ["optimizer.warmup_steps=auto", "optimizer.ema=auto"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_length(auto, rows=5000, total_steps=90)
    warmup, momentum = resolve_steps(auto.optimizer, 2000)
    assert warmup == 100
    np.testing.assert_allclose(momentum, 0.99)


def run_state(folder):
    with zipfile.ZipFile(folder / "last.keras") as archive:
        return json.loads(archive.read("run_state.json"))


def test_a_run_of_version_0_1_is_resumed_and_ends_like_a_whole_one(tmp_path):
    folder, whole = shutil.copytree(OLD / "run", tmp_path / "run"), OLD / "run_whole"
    assert run_state(folder)["epoch"] == 2
    recipe = read_recipe(folder / "recipe.yaml")
    assert run_recipe(recipe, folder, resume=True, verbose=0) == folder / "best.keras"
    resumed, uninterrupted = run_state(folder), run_state(whole)
    assert resumed["epoch"] == uninterrupted["epoch"] == recipe.training.epochs == 3
    assert resumed["best"]["epoch"] == uninterrupted["best"]["epoch"]
    assert resumed["random"] == uninterrupted["random"]
    for row, wanted in zip(metrics(folder), metrics(whole), strict=True):
        assert (row["epoch"], row["step"]) == (wanted["epoch"], wanted["step"])
        for name in ("nll", "val_nll"):
            np.testing.assert_allclose(row[name], wanted[name], atol=1e-4)
    ours, theirs = (keras.saving.load_model(f / "last.keras") for f in (folder, whole))
    for variables in ("weights", "optimizer.variables"):
        pairs = (operator.attrgetter(variables)(flow) for flow in (ours, theirs))
        for variable, wanted in zip(*pairs, strict=True):
            np.testing.assert_allclose(variable, wanted, rtol=1e-4, atol=1e-5)
    again = read_recipe(folder / "recipe.yaml")
    assert run_recipe(again, folder, resume=True, verbose=0).exists()  # nothing is left to do


def test_a_run_in_the_folder_is_neither_replaced_nor_mixed(whole, tmp_path):
    recipe = write(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}
    with pytest.raises(FileExistsError, match="holds a run already: give --resume"):
        run_recipe(read_recipe(recipe), whole)
    other = read_recipe(recipe, ["optimizer.learning_rate=1"])
    with pytest.raises(ValueError, match=r"another recipe.*learning_rate: 0.001, now 1"):
        run_recipe(other, whole, resume=True)
    fewer = read_recipe(recipe, ["training.epochs=5"])
    with pytest.raises(
        ValueError, match=r"epochs must be at least 6, which .* has finished. Received: 5"
    ):
        run_recipe(fewer, whole, resume=True)
    assert before == {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}


TABLE = """
name: table
data: {name: PATH}
model: {name: realnvp, arguments: {num_couplings: 1, hidden_units: [4]}}
optimizer: {name: sgd, learning_rate: 1e-3, schedule: constant}
training: {epochs: 2, batch_size: 50}
backend: {jit: false}
"""


def save_table(folder, change=lambda x: x):
    x = np.random.default_rng(0).normal(size=(500, 3)).astype("float32")
    np.save(folder / "x.npy", change(x))
    return read_recipe(write(folder, TABLE.replace("PATH", str(folder / "x.npy"))))


def test_changed_data_are_not_resumed_on(tmp_path):
    run_recipe(save_table(tmp_path), tmp_path / "run", verbose=0)
    recipe = save_table(tmp_path, lambda x: x + 1)
    with pytest.raises(ValueError, match=r"data of the run .*have changed. Different: sha256"):
        run_recipe(recipe, tmp_path / "run", resume=True)


def test_early_stopping_ends_the_run_and_a_resumed_one(tmp_path):
    recipe = save_table(tmp_path).model_copy(
        update={"training": read_recipe(tmp_path / "small.yaml").training.model_copy(
            update={"epochs": 50, "early_stopping": 2}
        )}
    )  # fmt: skip
    recipe = recipe.model_copy(
        update={"optimizer": recipe.optimizer.model_copy(update={"learning_rate": 1e-12})}
    )
    run_recipe(recipe, tmp_path / "run", verbose=0)
    rows = metrics(tmp_path / "run")
    best = int(np.argmin([row["val_nll"] for row in rows])) + 1
    assert len(rows) == best + 2 < 50


def test_a_diverging_run_names_step_and_layer_and_keeps_its_checkpoint(tmp_path):
    recipe = save_table(tmp_path)
    recipe = recipe.model_copy(
        update={"optimizer": recipe.optimizer.model_copy(update={"learning_rate": 1e12})}
    )
    message = r"(?s)The loss is (nan|inf) at step \d+: .*last\.keras holds the model after epoch 0"
    with pytest.raises(FloatingPointError, match=message):
        run_recipe(recipe, tmp_path / "run", verbose=0)
    flow = keras.saving.load_model(tmp_path / "run" / "last.keras")
    assert np.isfinite(flow.log_prob(np.zeros((1, 3), "float32"))).all()


def test_a_run_without_a_finite_validation_has_no_best_model(tmp_path):
    save_table(tmp_path)
    np.save(tmp_path / "far.npy", np.linspace(1e29, 1e30, 300, dtype="float32").reshape(100, 3))
    recipe = read_recipe(
        tmp_path / "small.yaml", [f"data.options={{validation: {tmp_path / 'far.npy'}}}"]
    )
    with pytest.raises(FloatingPointError, match=r"No epoch had a finite validation nll.*epoch 2"):
        run_recipe(recipe, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run" / "best.keras").exists()
    assert len(metrics(tmp_path / "run")) == 2


@keras.saving.register_keras_serializable(package="tests")
class LogOfFirst(layers.FlowLayer):
    """z = log x, NaN for negative x."""

    def _forward(self, x, condition=None, training=False):
        z = keras.ops.log(x)
        return z, -keras.ops.sum(z, axis=-1)


def test_the_layer_and_the_rows_that_become_nan_are_named():
    flow = Flow([layers.Reverse(), LogOfFirst(), layers.Reverse()], (2,))
    flow.compile(keras.optimizers.SGD(0.0))
    good, bad = np.ones((4, 2), "float32"), np.ones((4, 2), "float32")
    bad[2, 0] = -1
    sentence = explain(flow, [good, good, bad], first_step=10)
    assert sentence.startswith("The loss is nan at step 13: the output of layer 1, log_of_first")
    assert sentence.endswith("1 of 4 rows of the batch, the first 2")
    bad[3] = np.inf
    assert "the batch holds NaN or inf in 1 of 4 rows of the batch, the first 3" in explain(
        flow, [bad], 0
    )
    assert explain(flow, [good], 0) is None


def test_a_validation_of_fewer_rows_takes_evenly_spread_ones(tmp_path):
    settings = ["training.epochs=1", "training.steps_per_epoch=2", "training.validation_rows=5"]
    recipe = read_recipe(write(tmp_path), settings)
    best = run_recipe(recipe, tmp_path / "run", verbose=0)
    (x, condition), _ = datasets.load_arrays("digits", "validation", condition=True)
    rows = np.linspace(0, len(x) - 1, 5).astype(int)
    nll = -np.mean(keras.saving.load_model(best).log_prob(x[rows], condition[rows]))
    np.testing.assert_allclose(metrics(tmp_path / "run")[0]["val_nll"], nll, rtol=1e-5)
