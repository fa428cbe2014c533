"""TensorFlow Probability for the backend at hand, imported when something first needs it."""

import functools
import importlib
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
        advice = INSTALL
        if keras.backend.backend() == "jax":
            advice += ", or take KERAS_BACKEND=tensorflow: recent JAX lacks what the substrate uses"
        raise ImportError(
            f"tfflows.tfp requires {name} {_text(MIN_VERSION)} or later: {advice}. "
            f"Its import raised: {type(error).__name__}: {error}"
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


def _text(version):
    return ".".join(map(str, version))
