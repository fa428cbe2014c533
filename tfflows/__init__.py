"""tfflows: normalizing flows for Keras 3 and TensorFlow."""

from tfflows import datasets, distributions, layers, models, networks, transforms
from tfflows.flow import Flow

__version__ = "0.1.0"
__all__ = ["Flow", "datasets", "distributions", "layers", "models", "networks", "transforms"]
