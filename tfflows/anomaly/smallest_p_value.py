"""The most telling of several scores: the smallest of their p-values."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from keras import ops

from tfflows.anomaly.densities import Model
from tfflows.anomaly.scores import Score

NUM_KNOTS = 129
TAIL_SHARE = 0.1  # of normal rows, beyond which p-values are extrapolated
MIN_TAIL = 3  # rows


class SmallestPValue(Score):
    """-log of the smallest p-value that several scores give a row (Tippett 1931).

    A score's p-value is the share of held-out normal rows that are as large; beyond the largest
    tenth it falls as that of an exponential distribution with their mean, so that rows far out keep
    their order. A row is abnormal where one score finds it so, whatever the others say. The result
    is a score like any other: calibration makes it a p-value again.

    Args:
        model: a fitted model.
        members: what makes each score, of a model.
    """

    fitted = ("knots", "levels", "tails")

    def __init__(self, model: Model, members: Sequence[Callable[[Model], Score]]):
        super().__init__(model)
        if not members:
            raise ValueError("Expected `members` to hold at least one. Received: none")
        self.members = [make(model) for make in members]

    def see_trained(self, inputs, contamination=0.0):
        for member in self.members:
            member.see_trained(inputs, contamination)

    def fit_inputs(self, inputs):
        curves = []
        for member in self.members:
            if not member.keeps_rows:
                member.fit_inputs(inputs)
            curves.append(_tail_of(member.of_inputs(inputs)))
            if member.keeps_rows:
                member.fit_inputs(inputs)
        knots, tails = zip(*curves, strict=True)
        self.knots, self.tails = np.array(knots, "float32"), np.array(tails, "float32")
        count = len(inputs[0])
        inner = np.linspace(0, 1 - _tail_rows(count) / count, NUM_KNOTS)
        self.levels = -np.log1p(-inner).astype("float32")
        return super().fit_inputs(inputs)

    def compute(self, *inputs):
        curves = zip(self.members, self.knots, self.tails, strict=True)
        return ops.max(
            ops.stack([self._level(member.compute(*inputs), k, t) for member, k, t in curves]),
            axis=0,
        )

    def _level(self, scores, knots, tail):
        """-log of the p-values of scores `[n]`."""
        left = ops.clip(ops.searchsorted(knots, scores) - 1, 0, NUM_KNOTS - 2)
        start, end = ops.take(knots, left), ops.take(knots, left + 1)
        width = ops.maximum(end - start, 1e-30)
        share = ops.clip((scores - start) / width, 0.0, 1.0)
        low, high = ops.take(self.levels, left), ops.take(self.levels, left + 1)
        inside = low + share * (high - low)
        beyond = ops.maximum(scores - knots[-1], 0.0) / tail
        below = ops.minimum(scores - knots[0], 0.0) / tail
        return inside + beyond + below

    def state(self):
        own = super().state()
        for place, member in enumerate(self.members):
            own |= {f"{place}_{name}": value for name, value in member.state().items()}
        return own

    def set_state(self, state):
        super().set_state(state)
        for place, member in enumerate(self.members):
            member.set_state({name: state[f"{place}_{name}"] for name in member.fitted})


def _tail_rows(count):
    return min(max(math.ceil(TAIL_SHARE * count), MIN_TAIL), count - 1)


def _tail_of(values):
    """Knots up to the tail, and the mean excess in it, of scores of held-out rows."""
    values = np.sort(values)
    start = len(values) - _tail_rows(len(values))
    knots = np.quantile(values[:start], np.linspace(0, 1, NUM_KNOTS))
    excess = float((values[start:] - knots[-1]).mean())
    floor = 1e-3 * float(values.std()) + 1e-6 * abs(float(knots[-1])) + 1e-12
    return knots, max(excess, floor)
