"""Registered functions that make a bijector or a distribution from Keras weights."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor

REGISTER = "keras.saving.register_keras_serializable"


class Factory:
    """Calls a user's `make(variable, **arguments)`, each time on the current weights of a layer.

    What `make` returns is made anew in each call, so that gradients reach the weights, graphs and
    exports hold their values, and no cache outlives a training step. A `make` that has a parameter
    `condition` gets the rows of conditions of the call there.

    Args:
        layer: the layer that gets the weights.
        make: the registered function.
        arguments: its keyword arguments.

    Raises:
        ValueError: `make` is not a registered function.
    """

    def __init__(self, layer: keras.Layer, make: Callable, arguments: Mapping[str, Any]):
        if not _is_registered(make):
            raise ValueError(
                f"{type(layer).__name__} expects a function that is registered by {REGISTER}, so "
                f"that files can name it. Received: {make!r}"
            )
        self._layer, self._make, self._arguments = layer, make, arguments
        self._weights: dict[str, keras.Variable] = {}
        parameters = inspect.signature(make).parameters
        self.takes_condition = "condition" in parameters and "condition" not in arguments

    def build(self, condition_shape: tuple | None = None) -> Any:
        """What `make` returns, with its variables added to the layer.

        Args:
            condition_shape: `(batch, ...)` of the layer's conditions; `make` gets one row of zeros.

        Raises:
            ValueError: a name comes twice, variables were made otherwise, or there is no condition
                where `make` takes one.
        """
        condition = None
        if self.takes_condition:
            if condition_shape is None:
                raise ValueError(
                    f"{self.name} takes `condition`: expected a flow of some condition_shape. "
                    "Received: a flow without a condition"
                )
            condition = ops.zeros((1, *condition_shape[1:]), self._layer.compute_dtype)

        def add(name, initial, shape=None, trainable=True):
            if name in self._weights:
                raise ValueError(f"Expected each variable to have its own name. Received: {name}")
            initializer = initial
            if shape is None:
                array = np.asarray(initial)
                shape, initializer = array.shape, _constant(array)
            self._weights[name] = self._layer.add_weight(
                name=name, shape=shape, initializer=initializer, trainable=trainable
            )
            return ops.convert_to_tensor(self._weights[name])

        made = self._call(add, condition)
        own = [] if inspect.isclass(made) else getattr(made, "variables", ())
        own = [variable.name for variable in own]
        if own:
            raise ValueError(
                f"{self.name} made variables that Keras does not see, so that they would neither "
                "train nor be saved: take `variable(name, initial)` instead of tf.Variable and "
                f"TransformedVariable. Received: {', '.join(own)}"
            )
        return made

    def __call__(self, condition: Tensor | None = None) -> Any:
        """What `make` returns on the current weights."""
        return self._call(
            lambda name, *_, **__: ops.convert_to_tensor(self._weights[name]), condition
        )

    def of_initial_values(self) -> Any:
        """What `make` returns before the layer is built, for its shapes."""

        def initial_value(name, initial, shape=None, trainable=True):
            if shape is None:
                return ops.convert_to_tensor(initial, self._layer.compute_dtype)
            return keras.initializers.get(initial)(shape, self._layer.compute_dtype)

        return self._call(initial_value)

    @property
    def name(self) -> str:
        return self._make.__name__

    def _call(self, variable: Callable[..., Tensor], condition: Tensor | None = None):
        if not self.takes_condition:
            return self._make(variable, **self._arguments)
        if condition is None:
            raise ValueError(f"{self.name} takes `condition`. Received: a call without a condition")
        condition = ops.cast(condition, self._layer.compute_dtype)
        return self._make(variable, condition=condition, **self._arguments)


def _is_registered(make):
    if not inspect.isfunction(make):
        return False
    name = keras.saving.get_registered_name(make)
    return keras.saving.get_registered_object(name) is make


def _constant(array):
    return lambda shape, dtype=None: ops.convert_to_tensor(array, dtype)
