"""Runs on several devices and in several processes are those of one device."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import pytest
from marks import slow_on_jax
from processes import RECIPE, difference, environments, finish, read_end, start

from tfflows.datasets.batches import Shard
from tfflows.runs import run, strategy
from tfflows.runs.recipe import read_recipe
from tfflows.runs.run import run_recipe
from tfflows.runs.strategy import Strategy, make_strategy

BACKEND = keras.backend.backend()
IS_JAX = BACKEND == "jax"
TWO = ["--strategy", "data_parallel"] if IS_JAX else ["--strategy", "multi_worker"]
ONE = [] if IS_JAX else ["--no-jit"]
NO_JIT = ["backend.jit=false"]
EIGHT = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
on_jax = pytest.mark.skipif(not IS_JAX, reason="a strategy of JAX")
on_tensorflow = pytest.mark.skipif(IS_JAX, reason="a strategy of TensorFlow")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("shared") / "shared.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def one(recipe):
    """The logs and weights of one process on one device."""
    run_recipe(read_recipe(recipe, () if IS_JAX else NO_JIT), recipe.parent / "one", verbose=0)
    return read_end(recipe.parent / "one")


@pytest.mark.parametrize("count", [pytest.param(2, marks=slow_on_jax)])
def test_two_processes_train_as_one(recipe, one, count, tmp_path):
    printed = finish(start(recipe, tmp_path / "run", BACKEND, count, *TWO, "--report"))
    assert difference(read_end(tmp_path / "run"), one) < 1e-5
    assert "Epoch 2/2" in printed[0]
    assert "Best epoch 2 of 2" in printed[0]
    assert "poch" not in printed[1]  # only the chief reports


@on_jax
@pytest.mark.parametrize(
    "name", ["data_parallel", pytest.param("model_parallel", marks=pytest.mark.slow)]
)
def test_eight_devices_train_as_one(recipe, one, name, tmp_path):
    finish(start(recipe, tmp_path / "run", BACKEND, 1, "--strategy", name, **EIGHT))
    assert difference(read_end(tmp_path / "run"), one) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_run_goes_on_after_one_of_its_processes_was_killed(recipe, victim, tmp_path):
    settings = ["--set", "training.epochs=6", "--set", "training.steps_per_epoch=15"]
    finish(start(recipe, tmp_path / "one", BACKEND, 1, *settings, *ONE))
    folder = tmp_path / "run"
    processes = start(recipe, folder, BACKEND, 2, *settings, *TWO)
    while not (folder / "metrics.jsonl").exists():
        time.sleep(0.02)
    time.sleep(0.2)  # in the middle of an epoch
    os.kill(processes[victim].pid, signal.SIGKILL)
    printed = processes[1 - victim].communicate(timeout=120)[0]
    assert processes[1 - victim].returncode == 1
    assert f"Process {1 - victim} of 2 stopped, because another one has ended" in printed
    finish(start(recipe, folder, BACKEND, 2, *settings, *TWO, "--resume"))
    assert difference(read_end(folder), read_end(tmp_path / "one")) < 1e-5


@pytest.mark.slow
def test_a_refusal_of_the_first_process_ends_the_others(recipe, one, tmp_path):
    processes = start(recipe, recipe.parent / "one", BACKEND, 2, *TWO)
    printed = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [2, 1]
    assert "holds a run already: give --resume" in printed[0]
    assert "The first process stopped the run by FileExistsError" in printed[1]


@pytest.mark.parametrize("name", ["mirrored", "data_parallel"])
def test_strategies_of_the_other_backend_are_refused(name):
    if (name == "mirrored") != IS_JAX:
        pytest.skip("of this backend")
    with pytest.raises(
        ValueError, match=rf"{name} is for the Keras backend .*Received: .*{BACKEND}"
    ):
        make_strategy(name)


def test_processes_that_would_train_the_same_are_refused(monkeypatch):
    monkeypatch.setattr(strategy.processes, "process_count", lambda: 2)
    monkeypatch.setattr(strategy.processes, "process_index", lambda: 1)
    with pytest.raises(ValueError, match=r"process 1 of 2, .* set backend.strategy to multi_wor"):
        make_strategy(None)


ADAPT = """
import keras, numpy as np
from tfflows import models
from tfflows.backend import processes
from tfflows.runs.strategy import make_strategy
strategy = make_strategy("data_parallel" if keras.backend.backend() == "jax" else "multi_worker")
index = processes.process_index()
with strategy.scope():
    flow = models.RealNVP((2,), num_couplings=1, hidden_units=(4,))
    flow.adapt(np.random.default_rng(index).normal(index, 1 + index, (100, 2)).astype("float32"))
print("ADAPTED", [float(np.sum(keras.ops.convert_to_numpy(w))) for w in flow.weights])
"""


@pytest.mark.slow
def test_all_take_the_statistics_of_the_first():
    running = [
        subprocess.Popen([sys.executable, "-c", ADAPT], env=environment, stdout=subprocess.PIPE)
        for environment in environments(BACKEND, 2)
    ]
    printed = [process.communicate(timeout=120)[0].decode() for process in running]
    found = [[line for line in text.splitlines() if "ADAPTED" in line] for text in printed]
    assert found[0] == found[1]
    assert len(found[0]) == 1


@on_tensorflow
def test_workers_without_tf_config_are_refused():
    with pytest.raises(ValueError, match=r"multi_worker expects TF_CONFIG to name two workers"):
        make_strategy("multi_worker")


def test_validation_takes_all_rows_where_a_call_makes_many_steps(recipe, tmp_path):
    """Its last batch, of 51 rows, too, also where a training has 60 steps per call."""
    steps = ["training.epochs=1", "training.steps_per_epoch=60", *(() if IS_JAX else NO_JIT)]
    found = []
    for number in (1, 60):
        folder = tmp_path / str(number)
        settings = [*steps, f"backend.steps_per_execution={number}"]
        run_recipe(read_recipe(recipe, settings), folder, verbose=0)
        found.append(json.loads((folder / "metrics.jsonl").read_text()))
    assert found[0]["val_nll"] == pytest.approx(found[1]["val_nll"], rel=1e-5)


def test_one_device_is_said_and_trains_as_without_a_strategy(recipe, one, tmp_path):
    name = "data_parallel" if IS_JAX else "mirrored"
    shared = read_recipe(recipe, [f"backend.strategy={name}", f"backend.jit={str(IS_JAX).lower()}"])
    with pytest.warns(UserWarning, match=rf"{name} has found one device, .*, and trains as it"):
        run_recipe(shared, tmp_path / "run", verbose=0)
    assert difference(read_end(tmp_path / "run"), one) < 1e-5


def test_a_batch_that_the_devices_do_not_divide_is_refused(recipe, monkeypatch, tmp_path):
    seven = Strategy()
    seven.shard = Shard(devices=7)
    monkeypatch.setattr(run, "make_strategy", lambda name: seven)
    message = r"shared: training.batch_size: .* multiple of 7, the number of devices. Received: 64"
    with pytest.raises(ValueError, match=message):
        run_recipe(read_recipe(recipe), tmp_path / "run")
    assert not (tmp_path / "run").exists()
