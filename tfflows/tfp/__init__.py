"""TensorFlow Probability both ways: flows as its objects, its objects in flows, and NeuTra.

Importing this package does not import TensorFlow Probability.
"""

from tfflows.tfp.base_distribution import TFPDistribution
from tfflows.tfp.bijector_layer import TFPBijector
from tfflows.tfp.chains import Chains, hmc_chains
from tfflows.tfp.conversion import as_bijector, as_distribution
from tfflows.tfp.neutra import neutra

__all__ = [
    "Chains",
    "TFPBijector",
    "TFPDistribution",
    "as_bijector",
    "as_distribution",
    "hmc_chains",
    "neutra",
]
