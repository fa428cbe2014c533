"""Flow++'s conditioner: gated convolutions and attention over all positions (Ho et al. 2019)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfflows")
class GatedAttention(keras.layers.Layer):
    """Convolutional blocks, each followed by self-attention: the paper's section 3.3.

        h = conv3x3(x)
        a, g = conv1x1(gelu(conv3x3(gelu(h))));   h = norm(h + a sigmoid(g))
        a, g = dense(attention(h + position));    h = norm(h + a sigmoid(g))     in each block

    `[batch, height, width, channels]` -> `[batch, height, width, filters]`. The norms are over
    the channels of a position.

    Args:
        filters: channels within the network.
        num_blocks: pairs of convolutions and attention.
        num_heads: attention heads, which divide the filters.
    """

    def __init__(self, filters: int = 32, num_blocks: int = 2, num_heads: int = 4, **kwargs):
        super().__init__(**kwargs)
        if min(filters, num_blocks, num_heads) < 1 or filters % num_heads:
            raise ValueError(
                "filters, num_blocks and num_heads must be positive, and num_heads divide filters. "
                f"Received: filters={filters}, num_blocks={num_blocks}, num_heads={num_heads}"
            )
        self.filters, self.num_blocks, self.num_heads = filters, num_blocks, num_heads
        settings = {"dtype": self.dtype_policy}
        self.embedding = keras.layers.Conv2D(filters, 3, padding="same", **settings)
        self.blocks = []
        for i in range(num_blocks):
            self.blocks.append([
                keras.layers.Conv2D(filters, 3, padding="same", name=f"conv_{i}", **settings),
                keras.layers.Dense(2 * filters, name=f"gate_{i}", **settings),
                keras.layers.LayerNormalization(name=f"norm_{i}", **settings),
                keras.layers.MultiHeadAttention(
                    num_heads, filters // num_heads, name=f"attention_{i}", **settings
                ),
                keras.layers.Dense(2 * filters, name=f"attention_gate_{i}", **settings),
                keras.layers.LayerNormalization(name=f"attention_norm_{i}", **settings),
            ])  # fmt: skip

    def build(self, input_shape):
        image = (*input_shape[:-1], self.filters)
        tokens = (None, input_shape[1] * input_shape[2], self.filters)
        self.position = self.add_weight(
            name="position",
            shape=tokens[1:],
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        self.embedding.build(tuple(input_shape))
        for conv, gate, norm, attention, attention_gate, attention_norm in self.blocks:
            conv.build(image)
            gate.build(image)
            norm.build(image)
            attention.build(tokens, tokens)
            attention_gate.build(tokens)
            attention_norm.build(tokens)

    def call(self, inputs):
        hidden = self.embedding(inputs)
        shape = (-1, *hidden.shape[1:])
        for conv, gate, norm, attention, attention_gate, attention_norm in self.blocks:
            hidden = norm(hidden + _gated(gate(ops.gelu(conv(ops.gelu(hidden))))))
            tokens = ops.reshape(hidden, (-1, *self.position.shape))
            placed = tokens + ops.cast(self.position, tokens.dtype)
            attended = attention(placed, placed)
            hidden = ops.reshape(attention_norm(tokens + _gated(attention_gate(attended))), shape)
        return hidden

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        names = ("filters", "num_blocks", "num_heads")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _gated(values):
    values, gate = ops.split(values, 2, axis=-1)
    return values * ops.sigmoid(gate)
