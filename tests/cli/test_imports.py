"""What the command line imports: no Keras for help, lists, cards and usage errors."""

import os
import subprocess
import sys

import pytest

# Runs a command in a package whose own __init__ has not run, and says what was imported.
CODE = """
import importlib.util, sys
spec = importlib.util.find_spec("tfflows")
sys.modules["tfflows"] = importlib.util.module_from_spec(spec)
from tfflows.cli.main import main
try:
    main(sys.argv[1:], prog_name="tfflows")
finally:
    heavy = ("keras", "tensorflow", "jax", "scipy", "matplotlib", "sklearn", "pyarrow")
    print("IMPORTED", [name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--help",), 0, "sample"),
        (("train", "--help"), 0, "--mixed-precision"),
        (("zoo", "list"), 0, "realnvp-2spirals"),
        (("zoo", "card", "realnvp-2spirals"), 0, "Limitations"),
        (("zoo", "pull", "realnvp-2spirals"), 0, "realnvp-2spirals"),
        (("trian",), 2, "did you mean train"),
        (("film",), 2, "it is called animate now"),
        (("train", "nice-mnits"), 2, "did you mean nice-mnist"),
        (("evaluate", "--model", "nowhere.keras", "--data", "moons"), 2, "no model at nowhere"),
        (("evaluate", "--model", "zoo:realnvp-2spiral"), 2, "did you mean realnvp-2spirals"),
        (("sample", "--model", "zoo:realnvp-2spirals", "--out", "x.txt"), 2, ".png, .csv or .npy"),
    ],
)
def test_commands_without_a_model_import_no_keras(arguments, code, text):
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert text in " ".join((done.stdout + done.stderr).split())
    assert done.stdout.splitlines()[-1] == "IMPORTED []"


def test_python_m_runs_the_command_line():
    command = [sys.executable, "-m", "tfflows", "zoo", "list", "realnvp-2*"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("realnvp-2spirals")


def test_another_backend_is_refused_in_one_line():
    command = [sys.executable, "-c", CODE, "info", "--data", "moons"]
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "set KERAS_BACKEND to one of them. Received: 'torch'" in done.stderr
