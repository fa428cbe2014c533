"""The network of a TableFlow between the sum of embeddings and the heads."""

import keras

from tfflows.backend.activations import get_activation


@keras.saving.register_keras_serializable(package="tfflows")
class Trunk(keras.layers.Layer):
    """Residual blocks with layer normalization:  h = h + dense(act(dense(norm(h)))).

    Works on the last axis of `[..., width]`.

    Args:
        width: features of every layer.
        num_blocks: blocks of two dense layers.
        activation: name of a Keras activation.
        dropout: rate of dropout within blocks, in training.
    """

    def __init__(
        self,
        width: int,
        num_blocks: int = 2,
        activation: str = "silu",
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width, self.num_blocks = width, num_blocks
        self.activation, self.dropout = activation, dropout
        self._activate = get_activation(activation)
        self.blocks = [
            (
                keras.layers.LayerNormalization(),
                keras.layers.Dense(width),
                keras.layers.Dense(width),
            )
            for _ in range(num_blocks)
        ]
        self.norm = keras.layers.LayerNormalization()
        self._drop = keras.layers.Dropout(dropout) if dropout else None

    def build(self, input_shape=None):
        for layer in [*(layer for block in self.blocks for layer in block), self.norm]:
            layer.build((None, self.width))
        self.built = True

    def call(self, features, training=None):
        for norm, inner, outer in self.blocks:
            moved = self._activate(inner(norm(features)))
            if self._drop is not None:
                moved = self._drop(moved, training=training)
            features = features + outer(moved)
        return self.norm(features)

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "num_blocks": self.num_blocks,
            "activation": self.activation,
            "dropout": self.dropout,
        }
