"""A batch as a flow takes it: data, their conditions and the weights of the rows."""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows of data, taken apart once.

    Attributes:
        x: data `[n, *event_shape]`.
        condition: `[n, *condition_shape]`, one row for all, or None.
        weight: weights of the rows `[n]`, or None.
    """

    x: Tensor
    condition: Tensor | None = None
    weight: Tensor | None = None

    @classmethod
    def parse(cls, inputs: Any, condition: Any = None, weight: Any = None) -> "Batch":
        """A batch from x, (x, condition), or a dict with the keys "x" and "condition".

        Args:
            inputs: one of these forms; a `Batch` is returned as it is.
            condition: of x, where `inputs` does not hold it.
            weight: of the rows.

        Raises:
            ValueError: the inputs have other keys, or another number of parts.
        """
        if isinstance(inputs, Batch):
            return inputs
        if isinstance(inputs, dict):
            if "x" not in inputs or set(inputs) - {"x", "condition"}:
                raise ValueError(
                    'Expected a dict with the key "x" and, where the flow is conditional, '
                    '"condition": map other dicts, as in dataset.map(lambda row: row["image"]) or '
                    'dataset.map(lambda row: (row["image"], tf.one_hot(row["label"], 10))). '
                    f"Received: {sorted(inputs)}"
                )
            return cls(inputs["x"], inputs.get("condition", condition), weight)
        if isinstance(inputs, tuple):
            if len(inputs) not in (1, 2):
                raise ValueError(f"Expected x or (x, condition). Received: {len(inputs)} parts")
            return cls(inputs[0], inputs[1] if len(inputs) == 2 else condition, weight)
        return cls(inputs, condition, weight)

    def __len__(self) -> int:
        return self.x.shape[0]

    def numpy(self, rows: np.ndarray | slice = slice(None)) -> "Batch":
        """The batch, or some rows of it, as NumPy arrays."""

        def convert(value):
            return None if value is None else np.asarray(ops.convert_to_numpy(value)[rows])

        return Batch(convert(self.x), convert(self.condition), convert(self.weight))

    def spread(self, count: int) -> "Batch":
        """At most `count` evenly spread rows, as NumPy arrays."""
        size = len(self)
        return self.numpy(np.unique(np.linspace(0, size - 1, min(size, count)).astype(int)))

    @classmethod
    def concatenate(cls, batches: "list[Batch]") -> "Batch":
        """One batch of NumPy arrays of all rows; `batches` must not be empty."""
        batches = [batch.numpy() for batch in batches]

        def join(name):
            parts = [getattr(batch, name) for batch in batches]
            return None if parts[0] is None else np.concatenate(parts)

        return cls(join("x"), join("condition"), join("weight"))
