"""What the backends do differently: compilation, differentiation, random numbers; a case each."""

import os

BACKENDS = ("tensorflow", "jax")


def _check_backend(name: str) -> None:
    if name not in BACKENDS:
        raise ImportError(
            f"tfflows runs on the Keras backends {' and '.join(BACKENDS)}: set KERAS_BACKEND to "
            f"one of them. Received: {name!r}"
        )


# Before Keras, whose own import fails where the backend is not installed.
_check_backend(os.environ.get("KERAS_BACKEND") or BACKENDS[0])

import keras  # noqa: E402

_check_backend(keras.backend.backend())
