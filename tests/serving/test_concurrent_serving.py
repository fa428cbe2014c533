"""A thousand requests from eight threads, answered by a process that has neither us nor Keras."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layer_table import randomize
from marks import needs_tensorflow
from model_table import small_flow

from tfflows.models import MAF

FLOWS = {
    "coupling": (lambda: small_flow(condition_shape=(3,)), 1000),
    # XLA compiles its inversion at the first request of each batch size, in all threads at once.
    "autoregressive": (lambda: MAF((3,), 1, (16,)), 200),
}


@needs_tensorflow
@pytest.mark.parametrize(
    "name", ["coupling", pytest.param("autoregressive", marks=pytest.mark.slow)]
)
def test_eight_threads_get_the_answers_of_one(name, tmp_path):
    make, count = FLOWS[name]
    flow = randomize(make(), spread=0.1)
    folder = flow.export(tmp_path / "1")
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(100, *flow.event_shape)).astype("float32")}
    if flow.condition_shape is not None:
        data["condition"] = rng.normal(size=(100, *flow.condition_shape)).astype("float32")
    np.savez(tmp_path / "data.npz", **data)
    script = Path(__file__).parents[1] / "helpers" / "serve_concurrently.py"
    command = [sys.executable, script, folder, str(count), tmp_path / "data.npz"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
