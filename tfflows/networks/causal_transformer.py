"""A transformer over the tokens of an image in which each token sees those before it only."""

import keras
import numpy as np
from keras import ops

from tfflows.backend.device_choice import runs_on_cpu
from tfflows.backend.tensor_ops import Tensor, cut_far

FAR = -1e30  # the score of a key that is not known
QUERIES_AT_ONCE = 112  # of causal attention on a CPU


@keras.saving.register_keras_serializable(package="tfflows")
class CausalBlock(keras.layers.Layer):
    """A pre-norm transformer block whose attention looks back.

        h = h + attention(norm(h));   h = h + mlp(norm(h))

    `[batch, tokens, width]` both. It computes in the dtype of what comes in, whatever its policy.

    Args:
        num_heads: attention heads, which divide the width.
        dropout: share of what attention and MLP add that is left out in training.
        seed_generator: of the dropout.
    """

    def __init__(self, num_heads: int, dropout: float = 0.0, seed_generator=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.num_heads, self.dropout = num_heads, dropout
        self._seeds = [seed_generator]  # in a list of its owner's, which saves it

    def build(self, input_shape):
        width = input_shape[-1]
        self._norms = [self._add_norm(name, width) for name in ("attention", "mlp")]
        self._project = self._add_dense("projections", width, 3 * width)
        self._join = self._add_dense("joined", width, width)
        self._widen = self._add_dense("wide", width, 4 * width)
        self._narrow = self._add_dense("narrow", 4 * width, width)

    def _add_norm(self, name, width):
        gain = _weight(self, f"gain_{name}", (width,), "ones")
        return gain, _weight(self, f"offset_{name}", (width,), "zeros")

    def _add_dense(self, name, inputs, outputs):
        kernel = _weight(self, f"kernel_{name}", (inputs, outputs), "glorot_uniform")
        return kernel, _weight(self, f"bias_{name}", (outputs,), "zeros")

    def call(self, hidden, training=False):
        queries, keys, values = self._heads(hidden)
        dtype = keras.backend.standardize_dtype(hidden.dtype)
        # JAX rounds float64 to float32 in Keras' own.
        if dtype == "float64" or (dtype == "float32" and runs_on_cpu()):
            attended = causal_attention(queries, keys, values)
        else:
            attended = ops.dot_product_attention(
                queries,
                keys,
                values,
                is_causal=True,
                flash_attention=keras.config.is_flash_attention_enabled(),
            )
        return self._finish(hidden, attended, training)

    def step(
        self, hidden: Tensor, place: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Some tokens given those before them, and the caches with their own keys and values.

        Args:
            hidden: `[batch, count, width]`.
            place: number of the first of the tokens.
            keys, values: `[batch, heads, tokens, width / heads]`, right up to that token.
        """
        queries, new_keys, new_values = map(swap_heads, self._heads(hidden))
        keys = ops.slice_update(keys, (0, 0, place, 0), new_keys)
        values = ops.slice_update(values, (0, 0, place, 0), new_values)
        tokens = np.arange(keys.shape[2], dtype="int32")
        is_known = tokens <= place + tokens[: hidden.shape[1], None]
        attended = swap_heads(attention(queries, keys, values, is_known))
        return self._finish(hidden, attended, training=False), keys, values

    def _heads(self, hidden):
        width = hidden.shape[-1]
        projections = dense(layer_norm(hidden, *self._norms[0]), *self._project)
        shape = (-1, hidden.shape[1], self.num_heads, width // self.num_heads)
        return [ops.reshape(part, shape) for part in ops.split(projections, 3, axis=-1)]

    def _finish(self, hidden, attended, training):
        attended = dense(ops.reshape(attended, (-1, *hidden.shape[1:])), *self._join)
        hidden = hidden + self._drop(attended, training)
        wide = ops.gelu(dense(layer_norm(hidden, *self._norms[1]), *self._widen))
        return hidden + self._drop(dense(wide, *self._narrow), training)

    def _drop(self, values, training):
        if not (training and self.dropout):
            return values
        return keras.random.dropout(values, self.dropout, seed=self._seeds[0])

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


@keras.saving.register_keras_serializable(package="tfflows")
class CausalTransformer(keras.layers.Layer):
    """Outputs for each token of an image that depend on the tokens before it, row by row.

        h = dense(neighbors before the token) + row + column [+ dense(condition)]
        h = block(h) in each block;   outputs = dense(norm(h)), zero at first

    `[batch, rows, columns, channels]` -> `[batch, rows, columns, num_outputs]`. Position by
    position the transformer need not find the pixels beside a token, which say most of it. Under a
    mixed policy the blocks compute in the lower precision in training only.

    Args:
        num_outputs: numbers per token.
        width: size of a token within the network.
        num_blocks: transformer blocks.
        num_heads: attention heads, which divide the width.
        context: how far the neighbors reach: that many tokens to the left, above and to the right.
        dropout: share of what attention and MLP add that is left out in training.
    """

    def __init__(
        self,
        num_outputs: int,
        width: int = 128,
        num_blocks: int = 4,
        num_heads: int = 4,
        context: int = 3,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        if min(width, num_blocks, num_heads, context) < 1 or width % num_heads:
            raise ValueError(
                "width, num_blocks, num_heads and context must be positive, and num_heads divide "
                f"width. Received: width={width}, num_blocks={num_blocks}, num_heads={num_heads}, "
                f"context={context}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1). Received: {dropout!r}")
        self.num_outputs, self.width, self.num_blocks = num_outputs, width, num_blocks
        self.num_heads, self.context, self.dropout = num_heads, context, dropout
        self.seed_generator = keras.random.SeedGenerator() if dropout else None
        self.blocks = [
            CausalBlock(
                num_heads, dropout, self.seed_generator, name=f"block_{i}", dtype=self.dtype_policy
            )
            for i in range(num_blocks)
        ]

    def build(self, input_shape, condition_shape=None):
        _, rows, columns, channels = input_shape
        self._grid = rows, columns, channels
        self._above = min(self.context, rows - 1)
        side = range(2 * self.context + 1)
        places = [(i, j) for i in range(self._above + 1) for j in side]
        self._places = [place for place in places if place < (self._above, self.context)]
        near_zero = keras.initializers.RandomNormal(stddev=0.02)
        self._embed = self._add_dense("embedding", len(self._places) * channels, self.width)
        self.row_position, self.column_position = (
            _weight(self, f"{name}_position", (count, self.width), near_zero)
            for name, count in (("row", rows), ("column", columns))
        )
        self._of_condition = None
        if condition_shape is not None:
            size = int(np.prod(condition_shape[1:]))
            self._of_condition = self._add_dense("condition", size, self.width)
        for block in self.blocks:
            block.build((None, rows * columns, self.width))
        self._norm = (
            _weight(self, "gain", (self.width,), "ones"),
            _weight(self, "offset", (self.width,), "zeros"),
        )
        self._head = self._add_dense("head", self.width, self.num_outputs, "zeros")

    def _add_dense(self, name, inputs, outputs, initializer="glorot_uniform"):
        kernel = _weight(self, f"kernel_{name}", (inputs, outputs), initializer)
        return kernel, _weight(self, f"bias_{name}", (outputs,), "zeros")

    def call(self, x, condition=None, training=False):
        rows, columns, _ = self._grid
        hidden = self._features(self._neighbors(self.pad(x), rows, columns), condition)
        position = self.row_position[:, None] + self.column_position
        hidden = hidden + ops.cast(position, hidden.dtype)
        hidden = ops.reshape(hidden, (-1, rows * columns, self.width))
        hidden = ops.cast(hidden, self.compute_dtype if training else self.variable_dtype)
        for block in self.blocks:
            hidden = block(hidden, training=training)
        return ops.reshape(self._outputs(hidden), (-1, rows, columns, self.num_outputs))

    def pad(self, x: Tensor) -> Tensor:
        """x with zeros around it where neighbors may be: above, to the left and to the right."""
        return ops.pad(x, ((0, 0), (self._above, 0), (self.context, self.context), (0, 0)))

    def make_caches(self, batch: Tensor) -> list[Tensor]:
        """Keys and values of all blocks, of no token yet."""
        shape = (batch, self.num_heads, 0, self.width // self.num_heads)
        return [ops.zeros(shape, self.variable_dtype) for _ in range(2 * self.num_blocks)]

    def grow_caches(self, caches: list[Tensor], tokens: int) -> list[Tensor]:
        """Keys and values with room for the first `tokens` tokens, for `step`."""
        room = [(0, 0), (0, 0), (0, tokens - caches[0].shape[2]), (0, 0)]
        return [ops.pad(cache, room) for cache in caches]

    def step(
        self,
        place: Tensor,
        count: int,
        padded: Tensor,
        condition: Tensor | None,
        caches: list[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """Outputs `[batch, count, num_outputs]` of tokens of one row, and the caches with them.

        Args:
            place: number of the first of the tokens.
            count: of the tokens.
            padded: `pad(x)`, right up to the last of the tokens.
            condition: what `call` takes.
            caches: of the tokens before, with room for these.
        """
        _, columns, channels = self._grid
        row, column = place // columns, place % columns
        size = self._above + 1, count + 2 * self.context, channels
        zero = ops.zeros_like(place)
        window = ops.slice(padded, (zero, row, column, zero), (ops.shape(padded)[0], *size))
        window = ops.reshape(window, (-1, *size))
        hidden = self._features(self._neighbors(window, 1, count), condition)[:, 0]
        columns_here = ops.slice(
            ops.convert_to_tensor(self.column_position), (column, zero), (count, self.width)
        )
        position = ops.take(self.row_position, row, axis=0) + columns_here
        hidden = hidden + ops.cast(position, hidden.dtype)
        updated = []
        for i, block in enumerate(self.blocks):
            hidden, *pair = block.step(hidden, place, *caches[2 * i : 2 * i + 2])
            updated += pair
        return self._outputs(hidden), updated

    def _neighbors(self, padded, rows, columns):
        """The tokens around and before each, joined: `[batch, rows, columns, features]`."""
        shifted = [padded[:, i : i + rows, j : j + columns] for i, j in self._places]
        return ops.concatenate(shifted, axis=-1)

    def _features(self, neighbors, condition):
        hidden = dense(cut_far(neighbors), *self._embed)
        if condition is None or self._of_condition is None:
            return hidden
        kernel, bias = self._of_condition
        flat = ops.reshape(ops.cast(condition, hidden.dtype), (-1, 1, 1, kernel.shape[0]))
        return hidden + dense(flat, kernel, bias)

    def _outputs(self, hidden):
        return ops.cast(dense(layer_norm(hidden, *self._norm), *self._head), self.variable_dtype)

    def compute_output_shape(self, input_shape, condition_shape=None):
        return (*input_shape[:-1], self.num_outputs)

    def get_config(self):
        names = ("num_outputs", "width", "num_blocks", "num_heads", "context", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _weight(layer, name, shape, initializer):
    """A weight that keeps its precision: an inverse that rounds it otherwise is no inverse."""
    return layer.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)


def causal_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention `[batch, tokens, heads, size]` of each query to the keys up to its own.

    By blocks of queries, each with the keys up to its end: nearly half of the products, and less
    memory for the weights.
    """
    queries, keys, values = map(swap_heads, (queries, keys, values))
    count, attended = queries.shape[2], []
    tokens = ops.arange(count)  # masks are computed from it: an exported graph would hold them all
    for start in range(0, count, QUERIES_AT_ONCE):
        block = slice(start, start + QUERIES_AT_ONCE)
        before = slice(min(block.stop, count))
        is_known = tokens[before] <= tokens[block, None]
        attended.append(
            attention(queries[:, :, block], keys[:, :, before], values[:, :, before], is_known)
        )
    return swap_heads(ops.concatenate(attended, axis=2) if len(attended) > 1 else attended[0])


def swap_heads(x: Tensor) -> Tensor:
    """`[batch, tokens, heads, size]` as `[batch, heads, tokens, size]`, and back."""
    return ops.swapaxes(x, 1, 2)


def attention(queries: Tensor, keys: Tensor, values: Tensor, is_known: Tensor) -> Tensor:
    """Attention `[batch, heads, tokens, size]` of queries to the keys that each of them knows.

    In this order of axes a product reads keys and values as they lie: in a loop over tokens,
    which reads all of them in each step, they would be transposed each time.
    """
    scores = ops.einsum("bhqd,bhtd->bhqt", queries / queries.shape[-1] ** 0.5, keys)
    scores = ops.where(is_known, scores, ops.cast(FAR, scores.dtype))
    # Keras' softmax warns of an image of one token, and its maximum refuses a batch of none. That
    # the maximum cancels out, and that the sum divides the product, halve the time of a gradient.
    largest = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True, initial=FAR))
    weights = ops.exp(scores - largest)
    attended = ops.einsum("bhqt,bhtd->bhqd", weights, values)
    return attended / ops.sum(weights, axis=-1, keepdims=True)


def dense(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """x kernel + bias in the dtype of x."""
    return ops.matmul(x, ops.cast(kernel, x.dtype)) + ops.cast(bias, x.dtype)


def layer_norm(x: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """x with mean 0 and variance 1 over its last axis, scaled and shifted; in the dtype of x."""
    wide = ops.cast(x, gain.dtype)
    size = wide.shape[-1]  # Keras' mean rounds float64 to float32 on JAX
    centered = wide - ops.sum(wide, axis=-1, keepdims=True) / size
    variance = ops.sum(ops.square(centered), axis=-1, keepdims=True) / size
    return ops.cast(centered * ops.rsqrt(variance + 1e-6) * gain + offset, x.dtype)
