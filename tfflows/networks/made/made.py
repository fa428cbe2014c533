"""MADE: masked autoencoder for distribution estimation (Germain et al. 2015)."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend.activations import get_activation
from tfflows.backend.tensor_ops import Tensor, cut_far
from tfflows.networks.made.masked_dense import MaskedDense
from tfflows.networks.made.order import make_order, reorder

MAX_ABS_PARAMETER = 1e4  # parameter of an element


def bounded(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Parameters of elements, cut at a size which those of data do not reach.

    Far from the data, elements of a sample can grow from each to the next: so they stay finite.
    """
    return [ops.clip(parameter, -MAX_ABS_PARAMETER, MAX_ABS_PARAMETER) for parameter in parameters]


@keras.saving.register_keras_serializable(package="tfflows")
class MADE(keras.layers.Layer):
    """A network whose outputs for an element see only the elements before it in an order.

        s_0 = M_0 x + C c;   s_k = M_k act(s_k-1) [+ s_k-2, k even];   parameters = M act(s_last)

    Input `[batch, dims]` (and a condition `[batch, ...]`, which all outputs see), output
    `[batch, num_parameters, dims]`, zero at first.

    Args:
        num_parameters: numbers that each element gets.
        hidden_units: widths of the hidden layers, at least dims - 1 each unless `residual`, so that
            every element is told from its neighbours.
        activation: name of a Keras activation.
        residual: adds to each second hidden layer the one two before (the term in brackets);
            requires an odd number of equal widths.
        order: "sequential", "reversed", "random", or the elements' indices in their order.
        seed: integer of a random order.
    """

    def __init__(
        self,
        num_parameters: int = 2,
        hidden_units: Sequence[int] = (256, 256),
        activation: str = "relu",
        residual: bool = False,
        order: str | Sequence[int] = "sequential",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        units = list(hidden_units) if isinstance(hidden_units, list | tuple) else []
        if not units or any(not isinstance(u, int) or u < 1 for u in units):
            raise ValueError(
                f"hidden_units must be a list of positive widths. Received: {hidden_units!r}"
            )
        if residual and (len(units) % 2 == 0 or len(set(units)) > 1):
            raise ValueError(
                f"residual=True requires an odd number of equal hidden_units. Received: {units}"
            )
        if num_parameters < 1:
            raise ValueError(f"num_parameters must be positive. Received: {num_parameters}")
        self.num_parameters = num_parameters
        self.hidden_units = units
        self.activation = activation
        self.residual = residual
        self.order = order if isinstance(order, str) else np.asarray(order).tolist()
        self.seed = seed
        self._activation = get_activation(activation)

    def build(self, x_shape, condition_shape=None):
        dims = x_shape[-1]
        self._order = make_order(self.order, dims, self.seed)
        self.conditional = condition_shape is not None
        # Units of degree 0 see only the condition: the first element's parameters come from them.
        lowest = 0 if self.conditional or dims == 1 else 1
        for width in self.hidden_units:
            if width < dims - lowest and not self.residual:
                raise ValueError(
                    f"hidden_units must be at least {dims - lowest} for {dims} elements, or some "
                    f"could not be told from others. Received: {self.hidden_units}"
                )
        elements = np.arange(1, dims + 1)
        degrees = [lowest + np.arange(n) * (dims - lowest) // n for n in self.hidden_units]
        self.layers = [
            self._masked_dense(before, after)
            for before, after in zip([elements, *degrees], degrees, strict=False)
        ]
        self.head = self._masked_dense(
            degrees[-1], elements, self.num_parameters, strict=True, kernel_initializer="zeros"
        )
        for layer in (*self.layers, self.head):
            layer.build((None, len(layer.in_degrees)))
        if condition_shape is not None:
            features = math.prod(condition_shape[1:])
            self.condition_layer = keras.layers.Dense(
                self.hidden_units[0], use_bias=False, dtype=self.dtype_policy, name="condition"
            )
            self.condition_layer.build((None, features))

    def _masked_dense(self, before, after, num_parameters=1, **kwargs):
        # Products of at least some hundred columns keep both cores busy.
        size = len(after) * num_parameters
        blocks = max(1, min(4, size // 256, len(before) // 64))
        return MaskedDense(
            before, after, num_parameters, num_blocks=blocks, dtype=self.dtype_policy, **kwargs
        )

    def call(self, x, condition=None):
        x = cut_far(reorder(x, self._order))
        state, before = self.layers[0](x), None
        if self.conditional:
            state = state + self.condition_features(condition)
        for i, layer in enumerate(self.layers[1:], start=1):
            after = layer(self.activate(state))
            if self.residual and i % 2 == 0:
                after = after + before
            before, state = state, after
        parameters = self.head(self.activate(state))
        parameters = ops.reshape(parameters, (-1, self.num_parameters, x.shape[-1]))
        return reorder(parameters, np.argsort(self._order))

    def activate(self, x: Tensor) -> Tensor:
        """The activation, in x's dtype: on JAX, Keras gives float32 of float64 for some of them."""
        return ops.cast(self._activation(x), x.dtype)

    def condition_features(self, condition: Tensor) -> Tensor:
        """What a condition adds to the first hidden layer, `[batch, hidden_units[0]]`."""
        flat = ops.reshape(condition, (-1, math.prod(condition.shape[1:])))
        return self.condition_layer(ops.cast(flat, self.compute_dtype))

    def compute_output_shape(self, x_shape, condition_shape=None):
        return (x_shape[0], self.num_parameters, x_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "num_parameters": self.num_parameters,
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "residual": self.residual,
            "order": self.order,
            "seed": self.seed,
        }
