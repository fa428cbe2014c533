"""tfflows: normalizing flows for Keras 3 and TensorFlow.

What Keras needs to load a saved flow is imported at once; every other part on first use.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING

from tfflows.utils.moved import MovedFinder, moved_attribute

# The command line sets TFFLOWS_LAZY: its help and usage errors need no Keras. Everyone else gets
# every class registered, so that `keras.saving.load_model` finds it.
_is_command = os.environ.get("TFFLOWS_LAZY") == "1" or sys.orig_argv[1:3] == ["-m", "tfflows"]
if TYPE_CHECKING or not _is_command:
    import tfflows.backend  # noqa: F401, first: it refuses others before Keras loads one
    from tfflows import distributions, layers, models, networks, ode, transforms
    from tfflows.flow import Flow

if TYPE_CHECKING:
    from tfflows import (
        anomaly,
        beam,
        cli,
        datasets,
        energies,
        evaluation,
        ray,
        runs,
        serving,
        tables,
        testing,
        tfp,
        training,
        vae,
        zoo,
    )
    from tfflows.saving import load_model

__version__ = "0.3.0"
__all__ = [
    "Flow",
    "anomaly",
    "beam",
    "cli",
    "datasets",
    "distributions",
    "energies",
    "evaluation",
    "layers",
    "load_model",
    "models",
    "networks",
    "ode",
    "ray",
    "runs",
    "serving",
    "tables",
    "testing",
    "tfp",
    "training",
    "transforms",
    "vae",
    "zoo",
]

if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
    sys.meta_path.insert(0, MovedFinder())


def __getattr__(name):
    if name == "Flow":
        return importlib.import_module("tfflows.flow").Flow
    if name == "load_model":
        return importlib.import_module("tfflows.saving").load_model
    if name in __all__:
        return importlib.import_module(f"tfflows.{name}")
    raise AttributeError(moved_attribute(__name__, name))


def __dir__():
    return sorted({*globals(), *__all__})
