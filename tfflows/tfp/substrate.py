"""TensorFlow Probability for the backend at hand, imported when something first needs it."""

import contextlib
import functools
import importlib
import importlib.metadata
import types

import keras

MIN_VERSION = (0, 25)
INSTALL = "pip install 'tfflows[tfp]'"


@functools.cache
def probability() -> types.ModuleType:
    """`tensorflow_probability`; on JAX its JAX substrate.

    Raises:
        ImportError: it is not installed, is too old, or does not fit the TensorFlow or the JAX that
            is installed.
    """
    name = "tensorflow_probability"
    if keras.backend.backend() == "jax":
        name += ".substrates.jax"
    try:
        tfp = importlib.import_module(name)
        for part in ("distributions", "bijectors", "mcmc"):  # imported on first use
            getattr(tfp, part)
    except Exception as error:  # also AttributeError where TensorFlow or JAX is another version
        raise ImportError(
            f"tfflows.tfp requires {name} {_text(MIN_VERSION)} or later: {_advice()}. "
            f"Installed: {_installed()}. Its import raised: {type(error).__name__}: {error}"
        ) from error
    check_version(tfp.__version__)
    return tfp


def check_version(version: str) -> None:
    """Refuse a TensorFlow Probability of before MIN_VERSION."""
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < MIN_VERSION:
        raise ImportError(
            f"tfflows.tfp requires tensorflow_probability {_text(MIN_VERSION)} or later: "
            f"{INSTALL}. Received: version {version}"
        )


def _advice():
    if keras.backend.backend() != "jax":
        return INSTALL
    return (
        "TensorFlow Probability 0.25 imports with JAX before 0.7 only. Install tfp-nightly instead "
        "of it, or set KERAS_BACKEND=tensorflow"
    )


def _installed():
    """The packages that have to fit each other, with their versions."""
    names = ("tensorflow-probability", "tfp-nightly", "tf-keras", "tensorflow", "jax")
    versions = []
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(versions) or f"none of {', '.join(names)}"


def _text(version):
    return ".".join(map(str, version))
