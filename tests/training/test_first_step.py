"""What stands between `fit` and its first step: one trace, a line, what JAX compiled before."""

import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from tfflows import Flow, layers, networks

ROWS = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")


class Counted(layers.DiagonalScaling):
    traces = 0

    def _forward(self, x, condition=None, training=False):
        self.traces += bool(training)
        return super()._forward(x, condition, training)


def make(**kwargs):
    layer = Counted()
    flow = Flow([layer, layers.AffineCoupling(conditioner=networks.MLP((4,)))], (2,))
    flow.compile("adam", **kwargs)
    return flow, layer


@pytest.mark.parametrize("train", [lambda flow: flow.train_on_batch(ROWS), lambda f: f.fit(ROWS)])
def test_the_first_step_is_traced_once(train):
    flow, layer = make(steps_per_execution=1)
    train(flow)
    assert flow.optimizer.built
    assert layer.traces == 1


@pytest.mark.parametrize("settings", [{}, {"steps_per_execution": 2}])
def test_a_line_says_that_the_first_step_compiles(settings, capsys):
    flow, _ = make(**settings)
    flow.fit(ROWS, epochs=20, batch_size=1, verbose=2)
    flow.fit(ROWS, batch_size=1, verbose=2)  # which compiles nothing
    text = capsys.readouterr().out
    assert len(re.findall(r"Compiling the first step \.\.\. \d+\.\d s\n", text)) == 1
    assert text.count("Compiling") == 1
    assert text.count("nll") == 21


@pytest.mark.parametrize("settings", [{"verbose": 0}, {"verbose": 2, "eagerly": True}])
def test_no_line_where_nothing_is_shown_or_compiled(settings, capsys):
    flow, _ = make(run_eagerly=settings.pop("eagerly", False))
    flow.fit(ROWS, **settings)
    assert "Compiling" not in capsys.readouterr().out


CACHED = """
import jax, numpy as np

from tfflows import models
from tfflows.training import use_compilation_cache
print(use_compilation_cache())
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
flow = models.RealNVP((2,), 2, (4,))
flow.compile("sgd")
flow.fit(np.ones((8, 2)), verbose=0)
print(sum(name.endswith("cache_hits") for name in hits))
print(sum(name.endswith("cache_misses") for name in hits))
"""


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX keeps what it compiled")
def test_a_later_process_finds_what_jax_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("TFFLOWS_CACHE", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    results = [
        subprocess.run(
            [sys.executable, "-c", CACHED], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    folder, _, misses = results[0]
    assert folder == str(tmp_path / "compiled")
    assert int(misses) > 0
    assert int(results[1][1]) > 0
    assert results[1][2] == "0"


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has a cache")
def test_tensorflow_keeps_nothing(tmp_path):
    from tfflows.training import use_compilation_cache

    assert use_compilation_cache(tmp_path) is None
