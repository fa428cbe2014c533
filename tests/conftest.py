"""Settings that must stand before TensorFlow or JAX is imported."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_ENABLE_X64", "1")  # float64 promises on the JAX backend
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile much and compute little: XLA need not optimise.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import keras
import pytest


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports and TensorFlow's own modes"
)
