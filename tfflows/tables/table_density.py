"""Densities and draws of encoded rows: compiled, in chunks, over ensembles of orders."""

import math
import types
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation
from tfflows.tables.any_order import AnyOrder, orders
from tfflows.tables.columns import Cells
from tfflows.tables.encoder import Encoded
from tfflows.tables.trainer import TableTrainer


class TableDensity(TableTrainer):
    """What a TableFlow does to rows that are encoded.

    Args:
        network: the density in tensors.
        order: "random", or the names of all columns in the order that is trained.
    """

    def __init__(self, network: AnyOrder, order: str | Sequence[str], **kwargs: Any):
        super().__init__(network, _fixed_order(network.schema, order), **kwargs)
        self.schema, self.order = network.schema, order
        self._compiled_methods = types.SimpleNamespace()  # a dict would be saved with the model

    def log_prob_of_encoded(
        self, encoded: Encoded, seen: np.ndarray, num_orders: int = 1, batch_size: int | None = None
    ) -> np.ndarray:
        """`log_prob` of rows that `encoder.encode` made; `seen` is 1 for given cells."""
        self._check_seen(seen)
        chains = self.orders(num_orders)
        parts = [
            self._in_chunks(self._log_density, batch_size, (*encoded, seen), chain)
            for chain in chains
        ]
        mean = np.logaddexp.reduce(np.stack(parts).astype("float64"), axis=0) - math.log(len(parts))
        return mean.astype("float32")

    def _log_density(self, codes, cells, seen, order):
        return ops.sum(self.network.log_terms(codes, cells, seen, order), axis=1)

    def draw_encoded(
        self,
        encoded: Encoded,
        seen: np.ndarray,
        seed: np.ndarray,
        num_orders: int = 1,
        allow_missing: bool = True,
        batch_size: int | None = None,
        wanted: Sequence[int] | None = None,
    ) -> dict[str, Cells]:
        """Cells of all columns, of which those that are seen are the given ones.

        Places that are wanted leave the other columns undrawn.
        """
        self._check_seen(seen)
        chains = self.orders(num_orders)
        draw = np.random.default_rng(np.asarray(seed).view("uint32").tolist())
        chain_of = draw.integers(0, len(chains), len(seen))
        codes = encoded.codes.copy()
        z = encoded.numbers[:, :, 0].copy()
        method = self._draw_any if allow_missing else self._draw_values
        for number, chain in enumerate(chains):
            rows = np.flatnonzero(chain_of == number) if len(chains) > 1 else slice(None)
            chain = self.chain(chain, wanted)
            is_drawn = ~np.all(seen, axis=0)
            chain = chain[is_drawn[chain]] if len(seen) else chain[:0]
            arrays = (codes[rows], encoded.numbers[rows], seen[rows])
            noise = np.asarray(seed, "int32") + np.array([number, 0], "int32")
            codes[rows], z[rows] = self._in_chunks(method, batch_size, arrays, chain, noise)
        return self.fitted_encoder.decode(codes, z, int(draw.integers(2**31)))

    def chain(self, order: np.ndarray, wanted: Sequence[int] | None) -> np.ndarray:
        """The part of an order `[columns]` that draws the wanted places, or all of it."""
        if wanted is None:
            return order
        places = np.flatnonzero(np.isin(order, wanted))
        if self.fixed_order is None:
            return order[places]
        return order[: places.max(initial=-1) + 1]

    def _draw_any(self, codes, cells, seen, order, seed):
        return self.network.draw(codes, cells, seen, order, seed, allow_missing=True)

    def _draw_values(self, codes, cells, seen, order, seed):
        return self.network.draw(codes, cells, seen, order, seed, allow_missing=False)

    def _check_seen(self, seen):
        """In one order, what is given must come first."""
        if self.fixed_order is None:
            return
        in_order = seen[:, self.fixed_order]
        late = np.argwhere(in_order[:, 1:] > in_order[:, :-1])
        if len(late):
            name = self.schema.names[self.fixed_order[late[0][1] + 1]]
            raise ValueError(
                f"The flow is trained on one order of its columns, {list(self.order)}, and can "
                f"condition on the first of them only; train with order='random' for any. "
                f"Received: {name!r} given without those before it"
            )

    def orders(self, count: int) -> np.ndarray:
        """Orders of an ensemble, as places of columns: int32 `[count, columns]`.

        Raises:
            ValueError: `count` is below 1, or above it where the flow is trained on one order.
        """
        if count < 1 or (count > 1 and self.fixed_order is not None):
            raise ValueError(
                "Expected `num_orders` to be at least 1, and 1 where the flow is trained on one "
                f"order. Received: {count}"
            )
        return orders(len(self.schema), count, self.fixed_order)

    def _in_chunks(self, method: Callable, batch_size: int | None, arrays: Sequence, order, *seeds):
        """`method` of rows, a few sizes of chunks at a time, so that few functions are compiled."""
        rows = len(arrays[0])
        if batch_size is None:  # as many embeddings, however many columns there are
            batch_size = 1 << max(0, 16 - (len(self.schema) - 1).bit_length())
        parts = []
        for number, start in enumerate(range(0, max(rows, 1), batch_size)):
            chunk = [array[start : start + batch_size] for array in arrays]
            count = len(chunk[0])
            size = min(batch_size, 1 << max(count - 1, 0).bit_length())
            padded = [
                np.concatenate([a, np.zeros((size - count, *a.shape[1:]), a.dtype)]) for a in chunk
            ]
            noise = [seed + np.array([0, number * 2**12], "int32") for seed in seeds]
            results = self._compiled(method)(*map(ops.convert_to_tensor, (*padded, order, *noise)))
            parts.append([ops.convert_to_numpy(r)[:count] for r in keras.tree.flatten(results)])
        merged = [np.concatenate(part) for part in zip(*parts, strict=True)]
        return merged[0] if len(merged) == 1 else merged

    def _compiled(self, method):
        name = method.__name__
        if not hasattr(self._compiled_methods, name):
            compiled = compilation.compile_method(self, method, jit=False)
            setattr(self._compiled_methods, name, compiled)
        return getattr(self._compiled_methods, name)


def _fixed_order(schema, order) -> np.ndarray | None:
    """Places of the columns in an order of names; None for random orders."""
    if isinstance(order, str):
        if order != "random":
            raise ValueError(f"order must be 'random' or a list of names. Received: {order!r}")
        return None
    names = list(order)
    if sorted(names) != sorted(schema.names):
        raise ValueError(
            f"Expected `order` to hold each of the columns {list(schema.names)} once. "
            f"Received: {names}"
        )
    return np.array([schema.names.index(name) for name in names], "int32")
