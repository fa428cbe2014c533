"""The soak sees answers that differ, and memory that grows."""

import sys
from pathlib import Path

import numpy as np
import pytest
from marks import needs_tensorflow

pytestmark = needs_tensorflow


@pytest.fixture
def soak(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    import soak

    return soak


def save(folder, function):
    import tensorflow as tf

    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    served = tf.function(lambda x: {"log_prob": function(x)}, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(folder), signatures={"log_prob": served})
    return folder


def run(soak, monkeypatch, capsys, folder, memory):
    monkeypatch.setattr(sys, "argv", ["soak", str(folder), "--minutes", "0.005"])
    monkeypatch.setattr(soak, "memory_mb", lambda: next(memory))
    with pytest.raises(SystemExit) as exit_:
        soak.main()
    return exit_.value.code, capsys.readouterr().out


def test_equal_answers_and_steady_memory_pass(soak, monkeypatch, capsys, tmp_path):
    import tensorflow as tf

    folder = save(tmp_path / "1", lambda x: tf.reduce_sum(x, 1))
    code, text = run(soak, monkeypatch, capsys, folder, iter(np.linspace(900, 915, 11)))
    assert code == 0, text
    assert "0 differ" in text
    code, text = run(soak, monkeypatch, capsys, folder, iter(np.linspace(900, 1000, 11)))
    assert code == 1
    assert "Memory grew from 920.0 to 1000.0 MB" in text


def test_an_answer_that_differs_fails(soak, monkeypatch, capsys, tmp_path):
    import tensorflow as tf

    folder = save(tmp_path / "1", lambda x: tf.reduce_sum(x, 1) + tf.random.uniform([]))
    code, text = run(soak, monkeypatch, capsys, folder, iter(np.full(11, 900.0)))
    assert code == 1
    assert "An answer differs: (0, 'log_prob'" in text
