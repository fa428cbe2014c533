"""Statistics of data-dependent layers: when a flow takes them, and from which rows."""

import warnings
from typing import Any

import numpy as np
from keras import ops

from tfflows.backend.processes import take_from_first_process
from tfflows.backend.tensor_ops import Tensor
from tfflows.layers import FlowLayer
from tfflows.layers.compiled_layers import compiled_layers
from tfflows.layers.data_dependent_layer import DataDependentLayer
from tfflows.training.batch import Batch
from tfflows.training.density import Density
from tfflows.training.initial_weights import InitialWeights
from tfflows.training.inputs import (
    check_events,
    check_finite,
    check_float32,
    read_rows,
    warn_of_table,
)
from tfflows.utils.finite_weights import check_finite_weights

# Rows whose statistics data-dependent layers take, at most. An image has many elements per channel,
# so that fewer rows have as many.
MAX_ADAPT_ROWS = 10_000
MAX_ADAPT_ELEMENTS = 2**20
FAR = 10.0  # deviations, from which on other data are far outside


class AdaptiveDensity(Density):
    """A density with `adapt`, and checks of the data that it takes; arguments as of Density."""

    def build(self, input_shape):
        is_new = not self.built
        super().build(input_shape)
        if is_new:  # and not again on loading
            self._initial_weights = InitialWeights(self)

    def adapt(self, data: Any, max_rows: int = MAX_ADAPT_ROWS) -> None:
        """Take the statistics of data-dependent layers (ActNorm, BatchNorm, Whiten, ...) anew.

        Args:
            data: x, (x, condition) or a dict of arrays, or a dataset of such batches.
            max_rows: how many rows are used at most: evenly spread ones of arrays and of datasets
                of known length, of which up to 1,000 batches are read; otherwise the first ones.
                Where several processes train, all take the statistics of the first.
        """
        check_finite_weights(self.weights)
        data = self.data_schema.in_order(data)
        _, batch = read_rows(data, max_rows, self.condition_shape is not None)
        self._adapt(batch.spread(max_rows), force=True)

    def _adapt(self, batch: Batch, force):
        x = batch.x
        condition = self._check_batch(batch)
        takes = [type(layer).adapt is not FlowLayer.adapt for layer in self.flow_layers]
        with compiled_layers():
            for place, layer in enumerate(self.flow_layers):
                layer.adapt(x, condition, force)
                if not any(takes[place + 1 :]):
                    break  # before a continuous flow at the end solves its equation for nothing
                x = layer.forward_in_chunks(x, condition)
        layers = [each for each in self._flatten_layers() if isinstance(each, DataDependentLayer)]
        take_from_first_process([w for layer in layers for w in layer.weights])

    @property
    def has_initial_weights(self) -> bool:
        """Whether no weight was trained, loaded or set since the model was made.

        Statistics of data that layers have taken do not count.
        """
        return not self._initial_weights.differ(self)

    @property
    def needs_adapt(self) -> bool:
        """Whether some layer still waits for its statistics."""
        return any(layer.needs_adapt for layer in self.flow_layers)

    @property
    def _max_adapt_rows(self) -> int:
        return min(MAX_ADAPT_ROWS, max(256, MAX_ADAPT_ELEMENTS // self.dims))

    def _should_adapt(self) -> bool:
        """Whether a first training step has to take statistics before.

        Not where the weights were trained, loaded or assigned without: the statistics would make
        another density of them.
        """
        if not self.needs_adapt:
            return False
        if self.has_initial_weights:
            return True
        waiting = [layer.name for layer in self.flow_layers if layer.needs_adapt]
        warnings.warn(
            f"The layers {waiting} have no statistics of data, and the weights of the flow have "
            "been trained or set without them: training leaves the layers as they are. Call "
            "`adapt(data)` before the first step",
            stacklevel=3,
        )
        for layer in self._flatten_layers():
            if isinstance(layer, DataDependentLayer):
                layer.adapted.assign(1.0)
        return False

    def _check_batch(self, batch: Batch) -> Tensor | None:
        """The condition for each row of a batch, whose values have been checked as x has."""
        self._check_events(batch.x)
        condition = self.check_condition(batch.condition, len(batch))
        if condition is not None:
            check_finite("condition", ops.convert_to_numpy(batch.condition))
        return condition

    def _remember_names(self, data, batch: Batch):
        """Take the names of the tables in data; columns without a density are warned of once."""
        named = self.data_schema.with_columns_of(data)
        if named.columns is not None and self.data_schema.columns is None:
            warn_of_table(named.columns, batch)
        self.data_schema = named

    def _check_events(self, x):
        names = self.data_schema.columns if len(self.event_shape) == 1 else None
        check_events(x, self.event_shape, self.first_layer, names)
        if len(self.event_shape) == 1 and self.compute_dtype == "float32":
            check_float32(x)


def warn_far_data(name: str, batch: Batch, statistics: Batch) -> None:
    """Warn where most rows of a batch lie far outside of those that gave the statistics.

    Args:
        name: of the data in the warning.
        batch: some of their rows.
        statistics: rows whose statistics were taken.
    """
    used = statistics.numpy().x.reshape(len(statistics), -1).astype("float64")
    came = batch.numpy().x.reshape(len(batch), -1).astype("float64")
    distance = np.abs(np.median(came, axis=0) - used.mean(axis=0))
    deviation = used.std(axis=0) + 1e-6 * np.abs(used).max(axis=0) + 1e-12
    worst = int(np.argmax(distance / deviation))
    ratio = distance[worst] / deviation[worst]
    if ratio > FAR:
        warnings.warn(
            f"The {name} lie far outside of the {len(used)} rows whose statistics the layers took: "
            f"the median of element {worst} is {ratio:.3g} standard deviations from their mean. "
            "A dataset that is sorted gives its first rows: shuffle it, or call `adapt` with rows "
            "of all kinds",
            stacklevel=3,
        )
