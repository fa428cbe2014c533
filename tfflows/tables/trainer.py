"""How a TableFlow is trained: `fit` and `evaluate` on tables."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.tables.any_order import AnyOrder
from tfflows.tables.columns import Cells
from tfflows.tables.encoder import Encoded, Encoder
from tfflows.tables.number_head import NumberHead

MAX_ADAPT_ROWS = 200_000


class TableTrainer(keras.Model):
    """The trained half of a TableFlow.

    The loss is the nll in nats per row. Over random orders each row is an estimate of it without
    bias: the terms of the columns that a random set of others does not hold (Uria et al. 2014,
    equation 8). Validation takes the same sets in each epoch.

    Args:
        network: the density in tensors.
        fixed_order: places of the columns in the one order that is trained, or None.
    """

    encoder: Encoder | None

    def __init__(self, network: AnyOrder, fixed_order: np.ndarray | None, **kwargs):
        super().__init__(**kwargs)
        self.network, self.fixed_order = network, fixed_order
        self.encoder = None
        self._seeds = keras.random.SeedGenerator()
        self.network.build()
        self.built = True

    def adapt(self, data: Any) -> None:
        """Take the marginals of a table, from up to 200,000 rows; `fit` does so by itself.

        Args:
            data: as `Schema.parse` takes it.
        """
        self._adapt(self.network.schema.parse(data))

    def _adapt(self, cells):
        rows = len(next(iter(cells.values())).values)
        if rows > MAX_ADAPT_ROWS:
            chosen = np.random.default_rng(0).choice(rows, MAX_ADAPT_ROWS, replace=False)
            cells = {k: Cells(c.values[chosen], c.missing[chosen]) for k, c in cells.items()}
        self.begin_with(Encoder.fit(self.network.schema, cells), cells)

    def begin_with(self, encoder: Encoder, cells: Mapping[str, Cells]) -> None:
        """Take an encoder, and the frequencies of cells, as independent columns have them."""
        self.encoder = encoder
        codes = encoder.encode(cells).codes
        for group, head in zip(self.network.groups, self.network.heads, strict=True):
            head.set_frequencies(codes[:, group])
            if isinstance(head, NumberHead):
                head.set_marginals(encoder.marginals)

    @property
    def fitted_encoder(self) -> Encoder:
        """The encoder; ValueError before the flow was fitted."""
        if self.encoder is None:
            raise ValueError("Expected a fitted flow: call fit(data), or adapt(data), first")
        return self.encoder

    def call(self, inputs, training=None):
        """What the loss takes of each row, `[n]`: its nll, or the estimate of it."""
        codes, numbers = inputs["codes"], inputs["numbers"]
        if self.fixed_order is not None:
            seen = ops.zeros_like(codes, dtype="float32")
            terms = self.network.log_terms(codes, numbers, seen, self.fixed_order, True, training)
            return -ops.sum(terms, axis=1)
        rows = ops.shape(codes)[0]
        # Outside of training a batch says its own seed, the same in each epoch.
        content = ops.stack([ops.sum(codes), ops.cast(rows, "int32")])
        seed = rng.replica_seed(self._seeds) if training else content
        seen, weight = self.network.random_seen(rows, seed)
        terms = self.network.log_terms_of_unseen(codes, numbers, seen, training)
        return -weight * ops.sum(terms, axis=1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean of the rows' nll, each times its weight."""
        losses = ops.convert_to_tensor(y_pred)
        if sample_weight is not None:
            losses = losses * ops.cast(ops.reshape(sample_weight, (-1,)), losses.dtype)
        return ops.mean(losses)

    def fit(self, x: Any = None, y: None = None, *, validation_data: Any = None, **kwargs) -> Any:
        """`keras.Model.fit` on a table.

        Args:
            x: a table, as `Schema.parse` takes it, rows that `encoder.encode` made, or a
                `keras.utils.PyDataset` of these.
            y: must be None, because all columns stand in the table.
            validation_data: another table, or None.
            kwargs: those of Keras: epochs, batch_size, callbacks, sample_weight, ...

        Raises:
            ValueError: a cell does not fit the schema, by its row and column.
        """
        if y is not None:
            raise ValueError(
                "A table flow has no targets: the table holds all columns, and y "
                f"must be None. Received: y of type {type(y).__name__}"
            )
        data, target = self._encode(x, may_adapt=True), None
        if validation_data is not None:
            kwargs["validation_data"] = self._encode(validation_data)
        if kwargs.get("sample_weight") is not None:  # which Keras drops where y is None
            target = np.zeros(len(data["codes"]), "float32")
        return super().fit(data, target, **kwargs)

    def evaluate(self, x: Any = None, y: None = None, **kwargs) -> Any:
        """`keras.Model.evaluate` on what `fit` takes: the loss, an estimate over random orders.

        The exact nll in one order is `-flow.log_prob(x).mean()`.
        """
        if not kwargs.get("_use_cached_eval_dataset"):  # the validation that fit itself calls
            x = self._encode(x)
        return super().evaluate(x, y, **kwargs)

    def _encode(self, data, may_adapt=False):
        if isinstance(data, keras.utils.PyDataset):
            return data
        if not isinstance(data, Encoded):
            cells = self.network.schema.parse(data)
            if may_adapt and self.encoder is None:
                self._adapt(cells)
            data = self.fitted_encoder.encode(cells)
        return {"codes": data.codes, "numbers": data.numbers}
