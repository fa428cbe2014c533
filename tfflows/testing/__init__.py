"""Checks of the promises that every layer and flow keeps, for users' own classes.

`check_layer` and `check_flow` raise an AssertionError that names the broken promise, what was
expected, what came, and by how much it was off. `LayerCase` and `layer_checks` give the same
checks one by one, for a parametrized test. Nothing here needs pytest, and TensorFlow is imported
on its own backend only.
"""

from tfflows.testing.flow_promises import FLOW_PROMISES, check_flow
from tfflows.testing.layer_case import LayerCase
from tfflows.testing.run_layer import LAYER_PROMISES, check_layer, layer_checks
from tfflows.testing.weights import randomize

__all__ = [
    "FLOW_PROMISES",
    "LAYER_PROMISES",
    "LayerCase",
    "check_flow",
    "check_layer",
    "layer_checks",
    "randomize",
]
