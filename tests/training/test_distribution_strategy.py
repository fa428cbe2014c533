"""Two replicas on two logical CPU devices train as one device does.

The devices must be made before TensorFlow starts, so the work runs in a process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from marks import needs_tensorflow

from tfflows.runs.recipe import make_recipe
from tfflows.runs.run import run_recipe


@needs_tensorflow
def test_mirrored_training_equals_training_on_one_device():
    script = Path(__file__).parents[1] / "helpers" / "train_mirrored.py"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "EQUAL" in done.stdout


RECIPE = {
    "name": "mirrored",
    "data": {"name": "moons"},
    "model": {"name": "realnvp", "arguments": {"num_couplings": 1, "hidden_units": [4]}},
    "optimizer": {"ema": 0.9},
    "training": {"epochs": 2, "steps_per_epoch": 20, "batch_size": 64},
}
RUN = """
import json, sys
from tfflows.runs.recipe import make_recipe
from tfflows.runs.run import run_recipe
run_recipe(make_recipe(json.loads(sys.argv[1])), sys.argv[2], verbose=0)
"""


@pytest.mark.slow
@needs_tensorflow
def test_a_run_under_a_strategy_equals_one_without(tmp_path):
    """In quick runs tests/runs/test_strategy.py has it, on one device, in its own process."""
    plain = {**RECIPE, "backend": {"jit": False}}
    run_recipe(make_recipe(plain), tmp_path / "plain", verbose=0)
    mirrored = {**RECIPE, "backend": {"jit": False, "strategy": "mirrored"}}
    command = [sys.executable, "-c", RUN, json.dumps(mirrored), str(tmp_path / "mirrored")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ends = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("plain", "mirrored")]
    one, other = (json.loads(text.splitlines()[-1])["val_nll"] for text in ends)
    assert one == pytest.approx(other, abs=1e-5)
