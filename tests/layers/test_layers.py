"""The promises that every layer keeps, over the table of all layers."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from layer_table import CASES

import tfflows
from tfflows.layers import AmortizedLayer, Invert
from tfflows.testing import layer_checks

# The JAX run is there for the backend: it leaves out what asks nothing of it, and what a condition
# changes is the same on both.
ON_TENSORFLOW = {"batches", "saving", "mixed_precision", "unbuilt_inverse", "errors"}


def _checks(case):
    checks = layer_checks(case)
    if keras.backend.backend() == "tensorflow":
        return checks
    paired = {check.promise for check in checks if check.conditional} - ON_TENSORFLOW
    return [
        check
        for check in checks
        if check.promise not in ON_TENSORFLOW and (check.conditional or check.promise not in paired)
    ]


def _first_of_each_class():
    first = {}
    for case in CASES:
        first.setdefault(type(case.new()), case.name)
    return set(first.values())


# The mathematics of every case is tested at every change; what Keras does with a class (saving,
# symbolic calls, policies, messages) and what compilers make of it (batches) for its first case,
# and for the others in slow runs. So is a solver with a condition, whose eager steps take minutes,
# and what others imply of a solver: `round_trip` compares the inverse's log-det with forward's,
# which `log_det` has by autodiff; tests/models/test_far_out.py has its rows of every scale.
MATHEMATICS = {"log_det", "round_trip", "latent_round_trip", "inverse_log_det", "finite"}
# Eagerly, JAX compiles one operation at a time. Quick are the log-dets by autodiff, in float64, of
# both maps of every case and their round trips in float32; TensorFlow has the others quickly.
if keras.backend.backend() == "jax":
    MATHEMATICS.remove("finite")
FIRST = _first_of_each_class()
# Loops in loops, which XLA compiles for seconds: those of one Sylvester layer are all alike. One
# operation at a time JAX compiles each: what it differentiates is tested here, and round trips in
# tests/layers/test_amortized.py.
LOOPS = {"sylvester_newton", "sylvester_triangular"}
AMORTIZED = {c.name for c in CASES if isinstance(c.new(), AmortizedLayer | Invert)}


def _marked(check):
    is_slow = check.subject not in FIRST and check.promise not in MATHEMATICS
    if keras.backend.backend() == "jax":
        is_slow |= check.detail == "float64"
        if check.subject in AMORTIZED:
            is_slow = check.promise not in ("log_det", "inverse_log_det")
    if check.subject in LOOPS and check.promise == "batches":
        is_slow = True
    if check.subject == "continuous_flow":
        is_slow = check.promise in ("latent_round_trip", "inverse_log_det", "finite") or (
            check.conditional and check.promise not in ("condition", "errors")
        )
    return pytest.param(check, marks=pytest.mark.slow if is_slow else ())


CHECKS = [_marked(check) for case in CASES for check in _checks(case)]


def test_the_table_has_every_layer():
    tested = {type(case.new()).__name__ for case in CASES}
    abstract = {"AmortizedLayer", "FlowLayer", "Coupling", "DataDependentLayer"}
    public = set(tfflows.layers.__all__) - abstract
    assert tested == public


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_promise(check, request):
    if check.promise == "batches":
        request.getfixturevalue("optimized_graphs")
    check()


def test_both_backends_give_the_same_numbers(tmp_path):
    """Each case's outputs from equal weights, made by a process on the other backend."""
    if keras.backend.backend() == "jax":
        pytest.skip("the TensorFlow run of this suite starts the JAX process")
    script = Path(__file__).parents[1] / "helpers" / "write_layer_outputs.py"
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, script, tmp_path / "jax.npz"], env=environment, check=True)
    stored = np.load(tmp_path / "jax.npz")
    for case in CASES:
        z, log_det = case.build().forward_and_log_det(case.data(4))
        np.testing.assert_allclose(stored[f"{case.name}/z"], z, atol=2e-5, rtol=1e-5)
        np.testing.assert_allclose(stored[f"{case.name}/log_det"], log_det, atol=2e-5, rtol=1e-5)
