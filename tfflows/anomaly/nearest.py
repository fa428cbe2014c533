"""How far a row is from the normal rows that are nearest to it."""

import math

import numpy as np
from keras import ops

from tfflows.anomaly.densities import Model
from tfflows.anomaly.scores import Score
from tfflows.anomaly.table_model import TAIL, units
from tfflows.flow import Flow

MAX_ROWS = 10_000  # that are compared with


class NearestRow(Score):
    """The distance to the nearest normal row (Ramaswamy et al. 2000).

    (https://doi.org/10.1145/342009.335437.) Columns are in their own units, by medians and spreads,
    and beyond two spreads by logarithms, so that no column rules the distance. It needs no model,
    and sees what a smooth density overlooks: gaps within the normal rows.

    Where a share of the normal rows may be abnormal, the distance is to as many neighbours as there
    may be such rows: a cluster of them is far from the others.
    """

    fitted = ("centre", "spread", "rows", "neighbours")
    keeps_rows = True
    rows: np.ndarray

    def __init__(self, model: Model):
        super().__init__(model)
        if not (isinstance(model, Flow) and len(model.event_shape) == 1):
            raise ValueError(
                "The nearest row is one of columns of numbers: Expected a flow of vectors. "
                f"Received: a {type(model).__name__} of "
                f"{getattr(model, 'event_shape', 'typed columns')}"
            )

    def see_trained(self, inputs, contamination=0.0):
        x = inputs[0].astype("float64")
        if len(x) > MAX_ROWS:
            x = x[np.random.default_rng(0).choice(len(x), MAX_ROWS, replace=False)]
        self.centre, self.spread = (values.astype("float32") for values in units(x))
        self.neighbours = np.float32(max(1, math.ceil(contamination * len(x))))
        self.rows = self._scaled(x)
        self._compiled = {}

    def fit_inputs(self, inputs):
        """Compare with these rows too; with nothing but them where none were seen before."""
        if not hasattr(self, "rows"):
            self.see_trained(inputs)
        else:
            room = MAX_ROWS - len(self.rows)
            self.rows = np.concatenate([self.rows, self._scaled(inputs[0][:room])])
        return super().fit_inputs(inputs)

    def _scaled(self, x):
        scaled = TAIL * np.arcsinh((x.astype("float64") - self.centre) / self.spread / TAIL)
        return scaled.astype("float32")

    def compute(self, x):
        x = TAIL * ops.arcsinh((x - self.centre) / self.spread / TAIL)
        lengths = np.square(self.rows).sum(axis=1)
        # Without the square of x, which all distances of a row share.
        distances = lengths - 2 * ops.matmul(x, self.rows.T)
        count = int(self.neighbours)
        if count == 1:
            place = ops.argmin(distances, axis=1)
        else:
            place = ops.top_k(-distances, count)[1][:, -1]
        # Again from the differences: a square of small distances would be lost to rounding.
        nearest = ops.take(ops.convert_to_tensor(self.rows), place, axis=0)
        return ops.sqrt(ops.sum(ops.square(x - nearest), axis=1))
