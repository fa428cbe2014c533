"""Workers of Ray Train end as one process does, also after one of them was killed."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from command import run
from processes import RECIPE
from ruamel.yaml import YAML

import tfflows
from tfflows.runs import make_recipe, run_recipe

ray = pytest.importorskip("ray", reason="ray is not installed: the extra `ray`")


def make(**training):
    content = YAML(typ="safe", pure=True).load(RECIPE)
    content["training"] |= training
    content["backend"] = {"jit": False}
    return make_recipe(content)


def read_end(folder):
    """Logs of the epochs, and the weights of both models."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logs = np.asarray([[value for key, value in row.items() if key != "seconds"] for row in rows])
    models = [tfflows.load_model(folder / f"{name}.keras") for name in ("last", "best")]
    return logs, [np.asarray(weight) for model in models for weight in model.weights]


def assert_same_end(found, expected):
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_two_workers_end_as_one_process(tmp_path):
    recipe = make()
    run_recipe(recipe, tmp_path / "one", verbose=0)
    best = tfflows.ray.train(recipe, tmp_path / "two", 2)
    assert best == tmp_path / "two/best.keras"
    assert_same_end(read_end(tmp_path / "two"), read_end(tmp_path / "one"))


def kill_a_worker_after(metrics, killed):
    end = time.monotonic() + 200
    while time.monotonic() < end and not killed:
        time.sleep(0.05)
        if metrics.exists() and len(metrics.read_text().splitlines()) >= 2:
            killed.extend(find_workers()[-1:])
    for pid in killed:
        os.kill(pid, signal.SIGKILL)


def find_workers():
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::RayTrainWorker"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return sorted(found)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the worker to kill by /proc")
def test_a_killed_worker_is_started_again_from_the_checkpoint(tmp_path):
    recipe, killed = make(epochs=40), []
    arguments = (tmp_path / "two/metrics.jsonl", killed)
    killer = threading.Thread(target=kill_a_worker_after, args=arguments)
    killer.start()
    tfflows.ray.train(recipe, tmp_path / "two", 2, max_failures=2)
    killer.join()
    assert len(killed) == 1
    run_recipe(recipe, tmp_path / "one", verbose=0)
    assert_same_end(read_end(tmp_path / "two"), read_end(tmp_path / "one"))


def test_a_folder_with_a_run_is_refused_before_ray_starts(tmp_path):
    (tmp_path / "last.keras").write_bytes(b"")
    with pytest.raises(FileExistsError, match="holds a run already"):
        tfflows.ray.train(make(), tmp_path)
    said = run("ray", "train", "realnvp-toys", "--out", tmp_path, code=2)
    assert "holds a run already" in said
    assert not ray.is_initialized()


def test_a_batch_that_the_workers_do_not_divide_is_refused_before_ray_starts(tmp_path):
    recipe = make(batch_size=64)
    with pytest.raises(ValueError, match=r"a multiple of 3, the number of workers. Received: 64"):
        tfflows.ray.train(recipe, tmp_path / "run", 3)
    assert not ray.is_initialized()


def test_workers_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(ValueError, match="has 2 CPUs and 0 GPUs here, too few for 3 workers"):
        tfflows.ray.train(make(batch_size=48), tmp_path / "run", 3)
    with pytest.raises(ValueError, match="num_workers must be a positive integer"):
        tfflows.ray.train(make(), tmp_path / "run", 0)
