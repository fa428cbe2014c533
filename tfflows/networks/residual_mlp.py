"""Residual network of dense layers (He et al. 2016); pre-activation, as in Durkan et al. 2019."""

import keras

from tfflows.backend.activations import get_activation


@keras.saving.register_keras_serializable(package="tfflows")
class ResidualMLP(keras.layers.Layer):
    """Pre-activation residual blocks of one width: `[batch, features]` -> `[batch, units]`.

        h = dense(x);   h = h + dense(dropout(act(dense(act(h))))) in each block;   features = h

    Args:
        units: width of every layer.
        num_blocks: residual blocks of two dense layers.
        activation: name of a Keras activation.
        dropout: rate of dropout within blocks, in training.
    """

    def __init__(
        self,
        units: int = 128,
        num_blocks: int = 2,
        activation: str = "relu",
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1 or num_blocks < 0:
            raise ValueError(
                "units must be a positive integer and num_blocks not negative. "
                f"Received: units={units!r}, num_blocks={num_blocks!r}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1. Received: {dropout!r}")
        self.units = units
        self.num_blocks = num_blocks
        self.activation = activation
        self.dropout = dropout
        self.hidden = [self._dense() for _ in range(1 + 2 * num_blocks)]
        self._activate = get_activation(activation)
        # Without a rate it would still carry a generator of random numbers into saved models.
        self._drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy) if dropout else None

    def _dense(self):
        return keras.layers.Dense(self.units, dtype=self.dtype_policy)

    def build(self, input_shape):
        first, *rest = self.hidden
        first.build(tuple(input_shape))
        for layer in rest:
            layer.build((*input_shape[:-1], self.units))

    def call(self, inputs, training=None):
        first, *rest = self.hidden
        hidden = first(inputs)
        for inner, outer in zip(rest[::2], rest[1::2], strict=True):
            moved = self._activate(inner(self._activate(hidden)))
            if self._drop is not None:
                moved = self._drop(moved, training=training)
            hidden = hidden + outer(moved)
        return hidden

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_blocks": self.num_blocks,
            "activation": self.activation,
            "dropout": self.dropout,
        }
