"""What a test needs of the backend."""

import keras
import pytest

needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports and TensorFlow's own modes"
)
once = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="asks nothing of the backend"
)
