"""What the environment says of the processes of a job."""

import json

import keras
import pytest
from marks import needs_tensorflow

from tfflows.backend.processes import join_processes

WORKERS = {"worker": ["a:1", "b:2"]}
FIRST = {"type": "worker", "index": 0}


@needs_tensorflow
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", r"TF_CONFIG must be such as \{\"cluster\""),
        ("[]", r"TF_CONFIG must be such as"),
        (json.dumps({"cluster": {"ps": ["a:1"]}}), r"must name workers, .* cluster of \['ps'\]"),
        (
            json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": 2}}),
            r"one of \{'worker': 2\}\. Received: type 'worker', index 2",
        ),
        (
            json.dumps({"cluster": WORKERS, "task": {"type": "evaluator", "index": 0}}),
            r"Received: type 'evaluator', index 0",
        ),
        (json.dumps({"cluster": WORKERS}), r"Received: type None, index -1"),
        (
            json.dumps({"cluster": {"worker": ["a:1", "b"]}, "task": FIRST}),
            r"addresses host:port\. Received: 'b'",
        ),
        (json.dumps({"cluster": {"worker": 3}}), r"TF_CONFIG must be such as"),
    ],
)
def test_a_wrong_tf_config_is_refused(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=message):
        join_processes(1)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="variables that JAX reads")
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("a:1", "2", None), r"must be set together\. Missing: KERAS_DISTRIBUTION_PROCESS_ID"),
        (("a:1", "two", "0"), r"NUM_PROCESSES must be an integer from 0\. Received: 'two'"),
        (("a:1", "2", "2"), r"Received: process 2 of 2, 1 addresses"),
        (("a:1,b:2,c:3", "2", "1"), r"Received: process 1 of 2, 3 addresses"),
        (("a", "2", "1"), r"addresses host:port\. Received: 'a'"),
    ],
)
def test_wrong_variables_of_keras_are_refused(monkeypatch, values, message):
    for name, value in zip(("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"), values, strict=True):
        if value is not None:
            monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    with pytest.raises(ValueError, match=message):
        join_processes(1)


def test_one_process_has_nobody_to_wait_for(monkeypatch):
    config = {"cluster": {"worker": ["a:1"]}, "task": FIRST}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "a:1")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "1")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    join_processes(1)
