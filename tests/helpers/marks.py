"""What a test needs of the backend."""

import keras
import pytest

needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports and TensorFlow's own modes"
)
once = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="asks nothing of the backend"
)
# JAX compiles it for ten seconds, and TensorFlow runs it at every change.
slow_on_jax = [pytest.mark.slow] if keras.backend.backend() == "jax" else []
