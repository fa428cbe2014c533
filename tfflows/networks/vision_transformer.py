"""Jet's conditioner, a vision transformer (Dosovitskiy et al. 2021; Kolesnikov et al. 2024)."""

import keras


@keras.saving.register_keras_serializable(package="tfflows")
class VisionTransformer(keras.layers.Layer):
    """Pre-norm transformer blocks on tokens, with learned positions.

        h = dense(x) + position
        h = h + attention(norm(h));   h = h + mlp(norm(h))    in each block
        features = norm(h)

    `[batch, tokens, channels]` -> `[batch, tokens, width]`; the MLP of a block has 4 width hidden
    units.

    Args:
        width: size of a token within the network.
        num_blocks: transformer blocks.
        num_heads: attention heads, which divide the width.
    """

    def __init__(self, width: int = 64, num_blocks: int = 1, num_heads: int = 2, **kwargs):
        super().__init__(**kwargs)
        if min(width, num_blocks, num_heads) < 1 or width % num_heads:
            raise ValueError(
                "width, num_blocks and num_heads must be positive, and num_heads divide width. "
                f"Received: width={width}, num_blocks={num_blocks}, num_heads={num_heads}"
            )
        self.width, self.num_blocks, self.num_heads = width, num_blocks, num_heads
        settings = {"dtype": self.dtype_policy}
        self.embedding = keras.layers.Dense(width, name="embedding", **settings)
        self.blocks = []
        for i in range(num_blocks):
            self.blocks.append([
                keras.layers.LayerNormalization(name=f"norm_{i}", **settings),
                keras.layers.MultiHeadAttention(
                    num_heads, width // num_heads, name=f"attention_{i}", **settings
                ),
                keras.layers.LayerNormalization(name=f"mlp_norm_{i}", **settings),
                keras.layers.Dense(4 * width, activation="gelu", name=f"wide_{i}", **settings),
                keras.layers.Dense(width, name=f"narrow_{i}", **settings),
            ])  # fmt: skip
        self.norm = keras.layers.LayerNormalization(name="norm", **settings)

    def build(self, input_shape):
        tokens = (*input_shape[:-1], self.width)
        self.embedding.build(tuple(input_shape))
        self.position = self.add_weight(
            name="position",
            shape=tokens[1:],
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        for norm, attention, mlp_norm, wide, narrow in self.blocks:
            norm.build(tokens)
            attention.build(tokens, tokens)
            mlp_norm.build(tokens)
            wide.build(tokens)
            narrow.build((*tokens[:-1], 4 * self.width))
        self.norm.build(tokens)

    def call(self, inputs):
        hidden = self.embedding(inputs)
        hidden = hidden + keras.ops.cast(self.position, hidden.dtype)
        for norm, attention, mlp_norm, wide, narrow in self.blocks:
            normed = norm(hidden)
            hidden = hidden + attention(normed, normed)
            hidden = hidden + narrow(wide(mlp_norm(hidden)))
        return self.norm(hidden)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.width)

    def get_config(self):
        config = {"width": self.width, "num_blocks": self.num_blocks, "num_heads": self.num_heads}
        return {**super().get_config(), **config}
