"""Any-order autoregressive densities of encoded rows, in tensors."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.tables.category_head import CategoryHead
from tfflows.tables.columns import Coded, Dense
from tfflows.tables.encoder import num_codes
from tfflows.tables.number_head import NumberHead
from tfflows.tables.schema import Schema
from tfflows.tables.trunk import Trunk


class Draw(NamedTuple):
    """Rows that are being drawn, column by column.

    Attributes:
        codes: int32 `[n, columns]`.
        z: `[n, columns]`; zero in columns of codes.
        total: `[n, width]`, the sum of the embeddings so far.
    """

    codes: Tensor
    z: Tensor
    total: Tensor


@keras.saving.register_keras_serializable(package="tfflows")
class AnyOrder(keras.layers.Layer):
    """log p(x) = sum_i log p(x_i | x_j seen before i), for every order of the columns at once.

    Each cell that is seen adds its embedding to a sum. A trunk turns the sum into features, from
    which the head of each column takes its conditional: NADE (Uria, Murray and Larochelle 2014,
    "A deep and tractable density estimator", https://arxiv.org/abs/1310.1757), with embeddings
    instead of columns of a matrix. A running sum makes a whole chain cost one pass, to evaluate and
    to draw.

    Columns stand in the order of the schema in all arguments: codes `[n, columns]`, cells
    `[n, number columns, 4]`, seen `[n, columns]`.

    Args:
        schema: of the table.
        width: features of the trunk.
        num_blocks, activation, dropout: those of `Trunk`.
        num_components: of each mixture for numbers.
    """

    def __init__(
        self,
        schema: Schema,
        width: int = 256,
        num_blocks: int = 2,
        num_components: int = 8,
        activation: str = "silu",
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.schema, self.width, self.num_components = schema, width, num_components
        self.trunk = Trunk(width, num_blocks, activation, dropout)
        self.groups = _groups(schema)  # of each head, the places of its columns in the schema
        self.heads: list[CategoryHead | NumberHead] = [self._head(group) for group in self.groups]
        places = np.concatenate(self.groups)
        self._order_of_schema = np.argsort(places).astype("int32")  # from heads to the schema
        self._head_of = np.zeros(len(schema), "int32")
        self._place_of = np.zeros(len(schema), "int32")
        for number, group in enumerate(self.groups):
            self._head_of[group], self._place_of[group] = number, np.arange(len(group))

    def _head(self, group):
        columns = [self.schema.columns[i] for i in group]
        sizes, missing = [num_codes(c) for c in columns], [c.missing for c in columns]
        if isinstance(columns[0], Coded):
            return CategoryHead(sizes, missing, self.width, len(self.schema))
        whole = [not isinstance(column, Dense) for column in columns]
        return NumberHead(sizes, missing, whole, self.width, len(self.schema), self.num_components)

    def build(self, input_shape=None):
        self.start = self.add_weight((self.width,), "zeros", name="start")
        for layer in (self.trunk, *self.heads):
            layer.build()
        self.built = True

    def embed(self, codes: Tensor, cells: Tensor) -> Tensor:
        """What each cell adds to the sum where it is seen: `[n, columns, width]`."""
        parts = []
        for group, head in zip(self.groups, self.heads, strict=True):
            arguments = [ops.take(codes, group, axis=1)]
            if isinstance(head, NumberHead):
                arguments.append(cells[:, :, 0])
            parts.append(head.embed(*arguments))
        return ops.take(ops.concatenate(parts, axis=1), self._order_of_schema, axis=1)

    def log_conditionals(
        self, features: Tensor, codes: Tensor, cells: Tensor, allow_missing: bool = True
    ) -> Tensor:
        """log p(x_i | what its features have seen) of each column: `[n, columns]`.

        Args:
            features: `[n, columns, width]`, or `[n, 1, width]` where all have seen the same.
            codes, cells: of `Encoded`.
            allow_missing: whether "missing" has a mass.
        """
        parts = []
        for group, head in zip(self.groups, self.heads, strict=True):
            own = features if features.shape[1] == 1 else ops.take(features, group, axis=1)
            own_codes = ops.take(codes, group, axis=1)
            if isinstance(head, CategoryHead):
                parts.append(head.log_prob(own, own_codes, allow_missing))
            else:
                parts.append(head.log_prob(own, own_codes, cells, allow_missing))
        return ops.take(ops.concatenate(parts, axis=1), self._order_of_schema, axis=1)

    def log_terms(
        self,
        codes: Tensor,
        cells: Tensor,
        seen: Tensor,
        order: Tensor,
        allow_missing: bool = True,
        training: bool | None = None,
    ) -> Tensor:
        """log p(x_i | seen cells, and those before i in the order): `[n, columns]`.

        Args:
            codes, cells: of `Encoded`.
            seen: float `[n, columns]`, 1 for cells that are given, whose own terms are 0.
            order: int32 `[columns]`.
            allow_missing, training: as in the layers.
        """
        embeddings = self.embed(codes, cells)
        seen = ops.cast(seen, embeddings.dtype)[:, :, None]
        given = self.start + ops.sum(seen * embeddings, axis=1, keepdims=True)
        moving = ops.take((1 - seen) * embeddings, order, axis=1)
        before = ops.cumsum(moving, axis=1) - moving
        totals = given + ops.take(before, ops.argsort(order), axis=1)
        features = self.trunk(totals, training=training)
        terms = self.log_conditionals(features, codes, cells, allow_missing)
        return terms * (1 - seen[:, :, 0])

    def log_terms_of_unseen(
        self, codes: Tensor, cells: Tensor, seen: Tensor, training: bool | None = None
    ) -> Tensor:
        """log p(x_i | seen cells) of each cell that is not seen, `[n, columns]`, in one pass."""
        embeddings = self.embed(codes, cells)
        seen = ops.cast(seen, embeddings.dtype)
        total = self.start + ops.sum(seen[:, :, None] * embeddings, axis=1, keepdims=True)
        terms = self.log_conditionals(self.trunk(total, training=training), codes, cells)
        return terms * (1 - seen)

    def draw(
        self,
        codes: Tensor,
        cells: Tensor,
        seen: Tensor,
        order: Tensor,
        seed: Tensor,
        allow_missing: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Rows whose unseen cells are drawn in an order given the others: codes, and z of numbers.

        Args:
            codes, cells, seen: as in `log_terms`; what unseen cells hold is not read.
            order: int32 `[length]`, columns that are drawn; the others must be seen in all rows.
            seed: int32 `[2]`.
            allow_missing: whether "missing" may be drawn.

        Returns:
            codes `[n, columns]`, z `[n, number columns]`.
        """
        numbers = [i for i, c in enumerate(self.schema) if not isinstance(c, Coded)]
        embeddings = self.embed(codes, cells)
        total = self.start + ops.sum(ops.cast(seen, embeddings.dtype)[:, :, None] * embeddings, 1)
        z = ops.matmul(cells[:, :, 0], np.eye(len(self.schema), dtype="float32")[numbers])
        seed = ops.cast(seed, "int32")

        def step(t, drawn):
            column = ops.take(order, t)
            # Every step has a seed of its own, two words apart, as a head takes up to three.
            noise = seed + ops.stack([ops.zeros_like(column), 1 + ops.cast(t, "int32")])
            return self._draw_column(Draw(*drawn), column, seen, noise, allow_missing)

        drawn = ops.fori_loop(0, ops.shape(order)[0], step, (codes, z, total))
        return drawn[0], ops.take(drawn[1], np.array(numbers, "int32"), axis=1)

    def _draw_column(self, drawn, column, seen, seed, allow_missing):
        features = self.trunk(drawn.total, training=False)
        place = ops.take(self._place_of, column)

        def branch(head):
            def draw():
                if isinstance(head, NumberHead):
                    return head.draw(place, features, seed, allow_missing)
                codes, embedding = head.draw(place, features, seed, allow_missing)
                return codes, ops.zeros_like(embedding[:, 0]), embedding

            return draw

        branches = [branch(head) for head in self.heads]
        if len(branches) == 1:
            codes, z, embedding = branches[0]()
        else:
            codes, z, embedding = ops.switch(ops.take(self._head_of, column), branches)
        is_new = ops.logical_not(ops.cast(ops.take(seen, column, axis=1), "bool"))
        is_column = np.arange(len(self.schema), dtype="int32") == column
        is_drawn = ops.logical_and(is_column, is_new[:, None])
        return (
            ops.where(is_drawn, codes[:, None], drawn.codes),
            ops.where(is_drawn, z[:, None], drawn.z),
            drawn.total + ops.where(is_new[:, None], embedding, 0.0),
        )

    def random_seen(self, num_rows: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        """For each row a number of seen cells, from 0 to all but one, and which: a random set.

        The numbers are spread evenly over the rows, which makes the estimate less noisy.

        Returns:
            seen float `[n, columns]`, and what the terms of the others count, `[n]`: their sum
            times this is an estimate of the whole chain's sum, without bias.
        """
        noise = rng.BatchNoise(num_rows, seed, "float32")
        columns = len(self.schema)
        ranks = ops.argsort(ops.argsort(noise.uniform((columns,)), axis=1), axis=1)
        places = ops.cast(ops.argsort(noise.uniform(())), "float32")
        share = (places + noise.uniform(())) / ops.cast(num_rows, "float32")
        count = ops.minimum(ops.floor(share * columns), columns - 1)
        seen = ops.cast(ops.cast(ranks, "float32") < count[:, None], "float32")
        return seen, columns / (columns - count)


def _groups(schema: Schema) -> list[np.ndarray]:
    """Columns whose heads are computed together: numbers, and codes of about as many."""
    groups: dict[int, list[int]] = {}
    for i, column in enumerate(schema):
        key = (num_codes(column) - 1).bit_length() if isinstance(column, Coded) else -1
        groups.setdefault(key, []).append(i)
    return [np.array(groups[key], "int32") for key in sorted(groups)]


def orders(
    num_columns: int, count: int, fixed: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """Orders of the columns, int32 `[count, columns]`: a fixed one, or the schema's and others.

    The first is the order of the schema, so that a longer list begins with a shorter one.
    """
    if fixed is not None:
        return np.array([fixed], "int32")
    random = np.random.default_rng(0)
    rows = [np.arange(num_columns), *(random.permutation(num_columns) for _ in range(count - 1))]
    return np.stack(rows).astype("int32")
