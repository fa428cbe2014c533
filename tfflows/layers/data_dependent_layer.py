"""Layers whose weights start from statistics of the data."""

import numpy as np
from keras import ops

from tfflows.layers.flow_layer import FlowLayer


class DataDependentLayer(FlowLayer):
    """A layer that takes a mean and a standard deviation per channel from `adapt(x)`.

    The statistics are taken over all axes but the last: per feature of a table, per channel of an
    image. Whether they were taken is a saved weight, so that a loaded model is not set back to the
    statistics of its next batch. A subclass writes `_set_statistics(mean, std)` for arrays
    `[channels]`; the std of a constant channel arrives as 1. One that needs other statistics writes
    `_take_statistics(rows)` for rows `[n, channels]` in float64.
    """

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if not self.event_shape:
            raise ValueError(
                f"{type(self).__name__} needs events of at least one axis. "
                f"Received: x of shape {tuple(x_shape)}"
            )
        self.adapted = self.add_weight(
            name="adapted", shape=(), initializer="zeros", dtype="float32", trainable=False
        )

    def _set_statistics(self, mean: np.ndarray, std: np.ndarray) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define `_set_statistics`.")

    @property
    def needs_adapt(self) -> bool:
        return not self.built or float(ops.convert_to_numpy(self.adapted)) == 0.0

    def adapt(self, x, condition=None, force=True):
        x = ops.convert_to_numpy(x)
        if not self.built:
            self.build(x.shape, None if condition is None else tuple(condition.shape))
        if not force and not self.needs_adapt:
            return
        rows = x.reshape(-1, x.shape[-1]).astype("float64")
        if len(rows) == 0 or not np.isfinite(rows).all():
            problem = "no rows" if len(rows) == 0 else "NaN or inf"
            raise ValueError(
                f"{type(self).__name__}.adapt expects finite data of shape "
                f"{('batch', *self.event_shape)}. Received: {problem} in x of shape {x.shape}"
            )
        self._take_statistics(rows)
        self.adapted.assign(1.0)

    def _take_statistics(self, rows: np.ndarray) -> None:
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        # What the data path cannot tell from a constant is one; rounding leaves its std above zero.
        resolution = 2 * np.finfo(self.compute_dtype).eps * np.abs(mean)
        std = np.where(std > resolution, std, 1.0)
        self._set_statistics(mean.astype(self.compute_dtype), std.astype(self.compute_dtype))

    def _positions(self) -> int:
        """How many elements of an event share a channel's statistics."""
        return int(np.prod(self.event_shape[:-1], dtype="int64"))
