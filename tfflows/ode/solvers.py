"""Solvers of ordinary differential equations dy/dt = field(t, y), for y a tuple of tensors.

| solver | steps | for |
|---|---|---|
| `FixedStep` | as many as it is told: Euler, midpoint or classical Runge-Kutta | training |
| `DormandPrince` | as many as the tolerance needs, orders 5(4) | evaluation, sampling |

A field gets the time as a scalar, or, where rows step by themselves, as `[batch]`.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from tfflows.backend.compilation import static_loop
from tfflows.backend.settings import Settings
from tfflows.backend.tensor_ops import Tensor, sum_event

State = Sequence[Tensor]
Field = Callable[[Tensor, State], State]


class Solution(NamedTuple):
    """What a solver found.

    Args:
        state: y at the end.
        evaluations: of the field, an int32 scalar.
        time: where each row (or all) came to: the end, or where it could not go on.
    """

    state: tuple
    evaluations: Tensor
    time: Tensor


class Solver(Settings):
    """What turns a field and a start into an end."""

    is_adaptive = False

    def solve(
        self, field: Field, state: State, start: float, end: float, controlled: int = 1
    ) -> Solution:
        """Follow dy/dt = field(t, y) from `start` to `end`, either of which may be the larger.

        Args:
            field: (t, state) -> derivatives of the state.
            state: y at `start`, `[batch, ...]` each.
            start, end: times.
            controlled: how many tensors of the state, the first ones, an adaptive solver keeps
                within its tolerance, each by itself.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define `solve`.")

    def for_all_rows(self) -> "Solver":
        """The solver with the same steps for all rows, so that a state need not have rows."""
        return self

    @classmethod
    def from_config(cls, config):
        return cls(**config)


# Runge-Kutta methods by their nodes, their rows of stages, and weights.
METHODS = {
    "euler": ((0.0,), ((),), (1.0,)),
    "midpoint": ((0.0, 1 / 2), ((), (1 / 2,)), (0.0, 1.0)),
    "rk4": (
        (0.0, 1 / 2, 1 / 2, 1.0),
        ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    ),
}


@keras.saving.register_keras_serializable(package="tfflows")
class FixedStep(Solver):
    """A number of equal steps of an explicit Runge-Kutta method.

    Args:
        method: "euler" (order 1), "midpoint" (2) or "rk4" (4).
        num_steps: steps from start to end.
        unroll: whether the steps stand one after the other in the graph; False makes a loop of
            them, which compiles in the time of one step.
    """

    def __init__(self, method: str = "rk4", num_steps: int = 8, unroll: bool = True):
        if method not in METHODS:
            raise ValueError(f"method must be one of {list(METHODS)}. Received: {method!r}")
        if not isinstance(num_steps, int) or num_steps < 1:
            raise ValueError(f"num_steps must be a positive integer. Received: {num_steps!r}")
        self.method = method
        self.num_steps = num_steps
        self.unroll = unroll

    def solve(self, field, state, start, end, controlled=1):
        nodes, stages, weights = METHODS[self.method]
        state, dtype = tuple(state), state[0].dtype
        step = (end - start) / self.num_steps

        def advance(i, state):
            slopes = []
            for node, row in zip(nodes, stages, strict=True):
                time = ops.convert_to_tensor(start + (i + node) * step, dtype)
                slopes.append(field(time, _advance(state, step, row, slopes)))
            return _advance(state, step, weights, slopes)

        if self.unroll:
            for i in range(self.num_steps):
                state = advance(i, state)
        else:
            state = static_loop(
                self.num_steps, lambda i, state: advance(ops.cast(i, dtype), state), state
            )
        evaluations = ops.convert_to_tensor(self.num_steps * len(nodes), "int32")
        return Solution(state, evaluations, ops.convert_to_tensor(end, dtype))

    def get_config(self):
        return {"method": self.method, "num_steps": self.num_steps, "unroll": self.unroll}


def _advance(state, step, weights, slopes):
    """state + step * sum(weights * slopes); `step` is a number, or `[batch]`."""
    moved = []
    for i, y in enumerate(state):
        terms = [w * slope[i] for w, slope in zip(weights, slopes, strict=False) if w]
        moved.append(y + _like(step, y) * sum(terms) if terms else y)
    return tuple(moved)


def _like(value, tensor):
    """A number or scalar as it is; `[batch]` with the axes that it needs to go with `tensor`."""
    if len(getattr(value, "shape", ())) == 0:
        return value
    return ops.reshape(value, (-1, *(1 for _ in tensor.shape[1:])))


def _select(condition, ours, theirs):
    return tuple(ops.where(_like(condition, a), a, b) for a, b in zip(ours, theirs, strict=True))


# Dormand and Prince 1980, orders 5(4): the last stage is the first of the next step.
_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
_ERROR = tuple(np.subtract((*_STAGES[-1], 0.0), _FOURTH).tolist())


@keras.saving.register_keras_serializable(package="tfflows")
class DormandPrince(Solver):
    """Steps of orders 5(4), as long as the error that they estimate allows (Hairer et al. 1993).

    A step is taken where the root mean square of error / (atol + rtol |y|) over a row's elements is
    at most 1 in each controlled tensor. Every row has its own steps, so that what it comes to does
    not depend on the rows beside it, or, with `by_row=False`, all rows the same, as the row with
    the largest error needs them.

    The tolerance is that of a step, and what a solve adds up to depends on the field. In a density
    (see `ContinuousFlow`) the log-det is a controlled tensor: a step errs by at most
    atol + rtol |log_det| nats by itself, and by what the error of z makes of it later. Of the zoo's
    fields of two dimensions, with some twenty steps, log p(x) of single rows errs by up to 400
    times the tolerance: 0.05 nats at 1e-4, 0.004 at 1e-5, and a thirtieth of that at the median.
    `evaluation.solver_error` measures it for a flow and its rows.

    Args:
        rtol, atol: relative and absolute tolerance of a step, positive. In float32 less than 1e-6
            buys nothing.
        max_evaluations: of the field, after which rows are left where they are; their time says so.
        by_row: whether rows step by themselves.
    """

    is_adaptive = True

    def __init__(
        self,
        rtol: float = 1e-5,
        atol: float = 1e-5,
        max_evaluations: int = 6000,
        by_row: bool = True,
    ):
        for name, value in (("rtol", rtol), ("atol", atol)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name} must be positive. Received: {value!r}")
        if max_evaluations < 8:
            raise ValueError(f"max_evaluations must be at least 8. Received: {max_evaluations!r}")
        self.rtol = rtol
        self.atol = atol
        self.max_evaluations = max_evaluations
        self.by_row = by_row

    def solve(self, field, state, start, end, controlled=1):
        state, dtype = tuple(state), state[0].dtype
        sign, rows = (1.0 if end >= start else -1.0), ops.shape(state[0])[:1]
        time = ops.full(rows if self.by_row else (), start, dtype)
        slope = tuple(field(time, state))
        step = self._first_step(field, time, state, slope, sign, abs(end - start), controlled)
        resolution = 16 * float(np.finfo(keras.backend.standardize_dtype(dtype)).eps)
        smallest = resolution * max(abs(start), abs(end))

        def is_open(evaluations, time, step, state, slope):
            more = ops.logical_and(time != end, step > smallest)
            return ops.logical_and(evaluations + 6 <= self.max_evaluations, ops.any(more))

        def advance(evaluations, time, step, state, slope):
            left = ops.abs(end - time)
            is_last = step >= left
            size = ops.minimum(step, left)
            new, new_slope, error = self._try(field, time, sign * size, state, slope)
            ratio = self._error_ratio(error, state, new, controlled)
            accepted = ratio <= 1  # and not NaN
            state = _select(accepted, new, state)
            slope = _select(accepted, new_slope, slope)
            reached = ops.where(is_last, ops.cast(end, dtype), time + sign * size)
            factor = ops.clip(0.9 * ops.maximum(ratio, 1e-10) ** -0.2, 0.2, 10.0)
            factor = ops.where(accepted, factor, ops.minimum(factor, 1.0))
            factor = ops.where(ratio < np.inf, factor, 0.2)
            return evaluations + 6, ops.where(accepted, reached, time), size * factor, state, slope

        carry = (ops.convert_to_tensor(2, "int32"), time, step, state, slope)
        evaluations, time, _, state, _ = ops.while_loop(is_open, advance, carry)
        return Solution(tuple(state), evaluations, time)

    def for_all_rows(self):
        return DormandPrince(**{**self.get_config(), "by_row": False})

    def _try(self, field, time, step, state, slope):
        """State and slope after a step, and the error's estimate."""
        slopes = [slope]
        for node, row in zip(_NODES[1:], _STAGES[1:], strict=True):
            new = _advance(state, step, row, slopes)
            slopes.append(tuple(field(time + node * step, new)))
        zeros = tuple(ops.zeros_like(y) for y in state)
        return new, slopes[-1], _advance(zeros, step, _ERROR, slopes)

    def _error_ratio(self, error, state, new, controlled):
        """The largest error in units of the tolerance, `[batch]` or a scalar: of a tensor's row it
        is the root mean square, and a mean over tensors or rows would hide one beside the others.
        """
        largest = 0.0
        for e, before, after in list(zip(error, state, new, strict=True))[:controlled]:
            size = self.atol + self.rtol * ops.maximum(ops.abs(before), ops.abs(after))
            mean = sum_event(ops.square(e / size)) / max(1, math.prod(e.shape[1:]))
            largest = ops.maximum(largest, mean)
        if not self.by_row:
            # A row that is NaN already must not stop the others.
            is_nan = sum(sum_event(y - y) for y in state[:controlled]) != 0
            largest = ops.max(ops.where(is_nan, 0.0, largest), initial=0.0)
        return ops.sqrt(largest)

    def _first_step(self, field, time, state, slope, sign, length, controlled):
        """A step that the second derivative allows (Hairer et al. 1993, section II.4)."""

        def norm(values):
            return self._error_ratio(values, state, state, controlled)

        size, speed = norm(state), norm(slope)
        tiny = ops.logical_or(size < 1e-5, speed < 1e-5)
        first = ops.where(tiny, 1e-6, 0.01 * size / ops.maximum(speed, 1e-5))
        first = ops.minimum(first, length)
        after = field(time + sign * first, _advance(state, sign * first, (1.0,), [slope]))
        change = [a - b for a, b in zip(after, slope, strict=True)]
        steepest = ops.maximum(speed, norm(change) / first)
        second = ops.where(
            steepest <= 1e-15, ops.maximum(1e-6, first * 1e-3), (0.01 / steepest) ** 0.2
        )
        step = ops.clip(ops.minimum(100 * first, second), 1e-4 * length, length)
        return ops.where(step > 0, step, 1e-4 * length)  # of a slope that is NaN too

    def get_config(self):
        return {
            "rtol": self.rtol,
            "atol": self.atol,
            "max_evaluations": self.max_evaluations,
            "by_row": self.by_row,
        }
