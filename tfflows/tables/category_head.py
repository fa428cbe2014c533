"""The part of a TableFlow for columns of codes: embeddings of their cells, and softmax."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.tables.column_products import column_products

# Logit of what cannot be. Not infinity, whose products with zero are NaN in gradients.
NEVER = -1e9


@keras.saving.register_keras_serializable(package="tfflows")
class CategoryHead(keras.layers.Layer):
    """Columns of codes, whose conditionals are softmax:  p(code | seen) = softmax(h W + b).

    All columns of one head are computed at once, padded to the largest number of codes.

    Args:
        sizes: number of codes of each column, "missing" among them.
        missing: of each column, whether its last code is "missing".
        width: features of the network.
        num_columns: of the whole table, by which first embeddings are scaled.
    """

    def __init__(
        self, sizes: Sequence[int], missing: Sequence[bool], width: int, num_columns: int, **kwargs
    ):
        super().__init__(**kwargs)
        self.sizes, self.missing = list(sizes), list(missing)
        self.width, self.num_columns = width, num_columns
        codes = np.arange(max(self.sizes))
        sizes_column = np.array(self.sizes)[:, None]
        self._offsets = np.arange(len(self.sizes), dtype="int32") * len(codes)
        self._barred = np.where(codes < sizes_column, 0, NEVER).astype("float32")
        is_missing = (codes == sizes_column - 1) & np.array(self.missing)[:, None]
        self._barred_seen = np.where(is_missing, NEVER, self._barred).astype("float32")

    def build(self, input_shape=None):
        columns, codes = self._barred.shape
        spread = keras.initializers.RandomNormal(self.num_columns**-0.5)
        self.table = self.add_weight((columns, codes, self.width), spread, name="table")
        self.kernel = self.add_weight((columns, self.width, codes), "zeros", name="kernel")
        self.bias = self.add_weight((columns, codes), "zeros", name="bias")
        self.built = True

    def set_frequencies(self, codes: np.ndarray) -> None:
        """Begin with the frequencies of training codes `[n, columns]`, as independent columns."""
        counts = [np.bincount(column, minlength=self.bias.shape[1]) for column in codes.T]
        shares = (np.stack(counts) + 0.5) / (len(codes) + 0.5 * np.array(self.sizes)[:, None])
        self.bias.assign(np.log(shares))

    def embed(self, codes: Tensor) -> Tensor:
        """Embeddings `[n, columns, width]` of codes `[n, columns]`."""
        rows = ops.reshape(self.table, (-1, self.width))
        return ops.take(rows, codes + self._offsets, axis=0)

    def log_prob(self, features: Tensor, codes: Tensor, allow_missing: bool = True) -> Tensor:
        """log p of codes `[n, columns]`, given features of what is seen; see `column_products`."""
        logits = column_products(features, self.kernel) + self.bias
        logits = ops.log_softmax(logits + (self._barred if allow_missing else self._barred_seen))
        return ops.take_along_axis(logits, codes[:, :, None], axis=2)[:, :, 0]

    def draw(
        self, place: Tensor, features: Tensor, seed: Tensor, allow_missing: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Codes `[n]` of one column, drawn given features `[n, width]`, and their embeddings."""
        barred = ops.take(self._barred if allow_missing else self._barred_seen, place, axis=0)
        logits = ops.matmul(features, ops.take(self.kernel, place, axis=0))
        logits = logits + ops.take(self.bias, place, axis=0) + barred
        codes = draw_categories(logits, seed)
        return codes, ops.take(ops.take(self.table, place, axis=0), codes, axis=0)

    def get_config(self):
        return {
            **super().get_config(),
            "sizes": self.sizes,
            "missing": self.missing,
            "width": self.width,
            "num_columns": self.num_columns,
        }


def draw_categories(logits: Tensor, seed: Tensor) -> Tensor:
    """Codes `[n]` drawn from logits `[n, codes]` by an int32 seed `[2]`: the Gumbel-max way."""
    uniform = rng.uniform(ops.shape(logits), seed, logits.dtype)
    # float32 has no number between 1 - 6e-8 and 1, so the noise stays below 17.
    uniform = ops.clip(uniform, 1e-30, 1 - 6e-8)
    return ops.cast(ops.argmax(logits - ops.log(-ops.log(uniform)), axis=-1), "int32")
