"""Free-form continuous flows (Chen et al. 2018, neural ODEs; Grathwohl et al. 2019, FFJORD)."""

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation, rng
from tfflows.backend.autodiff import value_and_pullback
from tfflows.backend.tensor_ops import Tensor, batch_mean, cut_far, sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.networks import DynamicsConvNet, DynamicsMLP
from tfflows.ode.adjoint import solve_with_adjoint
from tfflows.ode.solvers import DormandPrince, FixedStep, Solver
from tfflows.utils.legacy import refuse_replaced, upgrade_arguments

TRACES = ("exact", "hutchinson")
NOISES = ("rademacher", "normal")
MAX_UNROLLED_ROWS = 4  # of the Jacobian, one after the other in the graph; more are a loop


@keras.saving.register_keras_serializable(package="tfflows")
class ContinuousFlow(FlowLayer):
    """Move x along a learned field for a unit of time.

        dz/dt = f(z, t, condition),  z(0) = x, z(1) = latent
        log_det = integral of trace(df/dz) over t from 0 to 1      (Chen et al. 2018, theorem 1)

    The trace is exact, by a product with df/dz for each element, or Hutchinson's estimate
    e^T (df/dz) e with one draw of e for the whole solve. In training e is drawn for every row;
    otherwise it is one fixed vector, so that the same x gives the same answer, which is exact only
    on average over such vectors.

    Training goes through `solver`: fixed steps are differentiated as they are, or, with
    `adjoint=True` and for an adaptive solver, by the adjoint equation, solved backward in time,
    which keeps nothing of the steps. All else goes through `test_solver`, whose tolerance holds for
    the log-det too, in nats, and for each row by itself: see `DormandPrince`. Samples without a
    density have no log-det to keep, take longer steps, and so are those of `sample_and_log_prob`
    within the tolerance. In training an adaptive solver looks at z only.

    `kinetic_weight` and `jacobian_weight` are those of the regularizers of Finlay et al. 2020
    (RNODE, equations 9 and 10), the integrals of |f|^2 and |e^T df/dz|^2 over time, per element,
    which training adds to the losses of the model. Both make fields that need few steps.

    Args:
        network: (z, t, condition) -> field of z's shape, a `DynamicsMLP` or `DynamicsConvNet`, or a
            Keras layer like them, smooth in z and in the layer's dtype even under a mixed policy:
            its rounding would be taken for error. None gives one of them.
        solver: in training.
        test_solver: otherwise.
        trace: in training, "hutchinson" or "exact".
        test_trace: otherwise; None is "exact" up to `max_exact_dims` elements.
        noise: of Hutchinson's estimate, "rademacher" or "normal".
        adjoint: whether training differentiates fixed steps by the adjoint equation too.
        kinetic_weight, jacobian_weight: of the regularizers, at least 0.
        max_exact_dims: elements up to which an exact trace, which costs as many products an
            evaluation, comes without a warning.
        seed: integer of the noise in training, or None for a fresh one.
    """

    def __init__(
        self,
        network: keras.layers.Layer | None = None,
        solver: Solver | None = None,
        test_solver: Solver | None = None,
        trace: str = "hutchinson",
        test_trace: str | None = None,
        noise: str = "rademacher",
        adjoint: bool = False,
        kinetic_weight: float = 0.0,
        jacobian_weight: float = 0.0,
        max_exact_dims: int = 128,
        seed: int | None = None,
        **kwargs,
    ):
        refuse_replaced(type(self), kwargs)
        super().__init__(**kwargs)
        for name, value, allowed in (
            ("trace", trace, TRACES),
            ("test_trace", test_trace, (None, *TRACES)),
            ("noise", noise, NOISES),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {list(allowed)}. Received: {value!r}")
        weights = {"kinetic_weight": kinetic_weight, "jacobian_weight": jacobian_weight}
        for name, value in weights.items():
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} must be at least 0. Received: {value!r}")
        if network is not None and not isinstance(network, keras.layers.Layer):
            raise ValueError(
                "Expected `network` to be a Keras layer, such as networks.DynamicsMLP(). "
                f"Received: {network!r}"
            )
        self.network: Any = network
        self.solver = FixedStep() if solver is None else solver
        self.test_solver = DormandPrince() if test_solver is None else test_solver
        for each in (self.solver, self.test_solver):
            if not isinstance(each, Solver):
                raise ValueError(
                    "Expected `solver` to be a solver of tfflows.ode, such as "
                    f'ode.FixedStep("rk4", num_steps=8). Received: {each!r}'
                )
        self.trace, self.test_trace, self.noise = trace, test_trace, noise
        self.adjoint = adjoint
        self.kinetic_weight, self.jacobian_weight = kinetic_weight, jacobian_weight
        self.max_exact_dims = max_exact_dims
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._cost = self._evaluations = None

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if len(self.event_shape) not in (1, 3):
            raise ValueError(
                "ContinuousFlow expects vectors, or images (height, width, channels). "
                f"Received: events of shape {self.event_shape}"
            )
        self.dims = math.prod(self.event_shape)
        if self.network is None:
            make = DynamicsMLP if len(self.event_shape) == 1 else DynamicsConvNet
            self.network = make(dtype=self.compute_dtype)
        if self.network.compute_dtype != self.compute_dtype:
            raise ValueError(
                f"{self.name} expects a network that computes in {self.compute_dtype}. "
                f"Received: one that computes in {self.network.compute_dtype}"
            )
        if not self.network.built:
            self.network.build(x_shape, condition_shape)
        is_costly = not hasattr(self.network, "field_and_divergence")
        is_exact = "exact" in (self.trace, self.test_trace)
        if is_costly and is_exact and self.dims > self.max_exact_dims:
            warnings.warn(
                f"An exact trace of {self.dims} elements costs {self.dims} products with the "
                f"Jacobian an evaluation: 'hutchinson' estimates it by one, and max_exact_dims="
                f"{self.dims} says that it is meant",
                stacklevel=2,
            )

    def field(self, z: Tensor, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """dz/dt at z `[batch, *event]` and a time, a scalar or `[batch]`."""
        return self.network(cut_far(z), time, condition)

    def call(self, x, condition=None, training=None, inverse=False, return_log_det=False):
        y = super().call(x, condition, training, inverse, return_log_det)
        if self._cost is not None:
            cost, self._cost = self._cost, None
            self.add_loss(batch_mean(cost))
        return y

    @property
    def can_fail(self) -> bool:
        """Whether there are inputs that it gives NaN for, and an error outside of compiled
        functions."""
        return self.test_solver.is_adaptive

    def pop_evaluations(self) -> Tensor | None:
        """How often the last call evaluated the field; None if there was none since it was asked.

        On JAX a metric of the layer's own that `call` updates would be lost.
        """
        evaluations, self._evaluations = self._evaluations, None
        return evaluations

    def inverse_path(self, z: Tensor, num: int, condition: Tensor | None = None) -> list[Tensor]:
        """Where latents z `[batch, *event]` are after each of `num` equal parts of the time."""
        path = [z]
        for part in range(num):
            start, end = 1 - part / num, 1 - (part + 1) / num
            solution = self.test_solver.solve(
                lambda time, state: (self.field(state[0], time, condition),),
                (path[-1],),
                start,
                end,
            )
            path.append(solution.state[0])
        return path[1:]

    def _forward(self, x, condition=None, training=False):
        return self._solve(x, condition, training, 0.0, 1.0)

    def _inverse(self, z, condition=None, training=False):
        return self._solve(z, condition, training, 1.0, 0.0)

    def _inverse_alone(self, z, condition=None, training=False):
        return self._solve(z, condition, training, 1.0, 0.0, with_trace=False)

    def _solve(self, x, condition, training, start, end, with_trace=True):
        """The state at the end, with the integral of the trace where that is asked for."""
        solver = self.solver if training else self.test_solver
        conditions = [] if condition is None else [condition]
        weights = self.network.weights
        has_cost = bool(with_trace and training and (self.kinetic_weight or self.jacobian_weight))
        trace = self.trace if training else self._test_trace()
        has_divergence = hasattr(self.network, "field_and_divergence")
        draws = with_trace and trace == "hutchinson" and not has_divergence
        noise = self._draw_noise(x, training) if draws else None

        def rates(time, z, *tensors):
            condition, values = tensors[: len(conditions)], tensors[len(conditions) :]
            condition = condition[0] if condition else None
            with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
                if not with_trace:
                    return (self.field(z, time, condition),)
                return self._rates(time, z, condition, noise, has_cost)

        values = [ops.convert_to_tensor(weight.value) for weight in weights]
        num_integrals = int(with_trace) + has_cost
        if training and not solver.is_adaptive and not self.adjoint:
            zeros = [ops.zeros_like(x[(..., *(0 for _ in self.event_shape))])] * num_integrals
            solution = solver.solve(
                lambda time, state: rates(time, state[0], *conditions, *values),
                (x, *zeros),
                start,
                end,
            )
        else:
            controlled = 1 if training else 1 + num_integrals
            solution = solve_with_adjoint(
                solver, rates, x, num_integrals, [*conditions, *values], start, end, controlled
            )
        z, *integrals = self._finish(solution, solver, end)
        self._cost = integrals[1] if has_cost else None
        return (z, integrals[0]) if with_trace else z

    def _finish(self, solution, solver, end):
        """The state; NaN for rows that did not come to the end, or an error outside of compiled
        functions."""
        state = solution.state
        self._evaluations = ops.cast(solution.evaluations, state[0].dtype)
        if not solver.is_adaptive:
            return state
        if not compilation.is_traced(state[0]):
            self._check_arrival(solution, solver, end)
        arrived = ops.broadcast_to(solution.time == end, ops.shape(state[0])[:1])

        def checked(values):
            shape = (-1, *(1 for _ in values.shape[1:]))
            return ops.where(ops.reshape(arrived, shape), values, np.nan)

        return tuple(checked(values) for values in state)

    def _rates(self, time, z, condition, noise, has_cost):
        """(dz/dt, its divergence), and the cost of the regularizers per element where asked for."""
        if noise is None and not has_cost and hasattr(self.network, "field_and_divergence"):
            return self.network.field_and_divergence(cut_far(z), time, condition)
        if noise is None:
            slope, divergence, squares = self._exact(time, z, condition)
        else:
            (slope,), pullback = value_and_pullback(
                lambda z: (self.field(z, time, condition),), [z]
            )
            (product,) = pullback(noise)
            divergence, squares = sum_event(product * noise), sum_event(ops.square(product))
        if not has_cost:
            return slope, divergence
        kinetic = sum_event(ops.square(slope))
        cost = self.kinetic_weight * kinetic + self.jacobian_weight * squares
        return slope, divergence, cost / self.dims

    def _exact(self, time, z, condition):
        """dz/dt, the trace of its Jacobian, and the sum of the Jacobian's squares: by a product for
        each row of the Jacobian."""
        (slope,), pullback = value_and_pullback(lambda z: (self.field(z, time, condition),), [z])

        def add_row(row, sums):
            unit = ops.reshape(ops.one_hot(row, self.dims, dtype=z.dtype), (1, *self.event_shape))
            (product,) = pullback(ops.broadcast_to(unit, ops.shape(z)))
            terms = sum_event(product * unit), sum_event(ops.square(product))
            return tuple(a + b for a, b in zip(sums, terms, strict=True))

        sums = (ops.zeros_like(z[(..., *(0 for _ in self.event_shape))]),) * 2
        if self.dims > MAX_UNROLLED_ROWS:
            return slope, *compilation.static_loop(self.dims, add_row, sums)
        for row in range(self.dims):
            sums = add_row(row, sums)
        return slope, *sums

    def _test_trace(self):
        if self.test_trace is not None:
            return self.test_trace
        return "exact" if self.dims <= self.max_exact_dims else "hutchinson"

    def _draw_noise(self, x, training):
        """Directions `[batch, *event]` of Hutchinson's estimate, of unit covariance."""
        if training:
            numbers = rng.rows_of_replica(
                rng.normal, self.seed_generator, ops.shape(x), self.compute_dtype
            )
        else:
            fixed = np.random.default_rng(0).normal(size=(1, *self.event_shape))
            numbers = ops.broadcast_to(ops.cast(fixed, self.compute_dtype), ops.shape(x))
        if self.noise == "normal":
            return numbers
        return ops.where(numbers < 0, -ops.ones_like(numbers), ops.ones_like(numbers))

    def _check_arrival(self, solution, solver, end):
        times = np.reshape(ops.convert_to_numpy(solution.time), -1)
        late = np.flatnonzero(times != end)
        if not len(late):
            return
        z = ops.convert_to_numpy(solution.state[0])
        row = int(late[0]) if len(times) > 1 or len(z) == 1 else 0
        norm = np.linalg.norm(z[row])
        raise FloatingPointError(
            f"{self.name} came to t = {times[late[0]]:.6g} on its way to {end:g}, at |z| = "
            f"{norm:.3g} in row {row}, after {int(solution.evaluations)} evaluations of its field "
            f"({solver.get_config()}). Either the field grows without bound there, or a larger "
            "rtol, atol or max_evaluations is needed"
        )

    def _structure_arguments(self):
        return None  # it keeps what its last solve took

    def get_config(self):
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "solver": keras.saving.serialize_keras_object(self.solver),
            "test_solver": keras.saving.serialize_keras_object(self.test_solver),
            "trace": self.trace,
            "test_trace": self.test_trace,
            "noise": self.noise,
            "adjoint": self.adjoint,
            "kinetic_weight": self.kinetic_weight,
            "jacobian_weight": self.jacobian_weight,
            "max_exact_dims": self.max_exact_dims,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        return super().from_config(upgrade_arguments(cls, config))


def continuous_flows(layers: Iterable[FlowLayer]) -> Iterator[ContinuousFlow]:
    """All of the kind in a stack, those within multi-scale layers too."""
    for layer in layers:
        if isinstance(layer, ContinuousFlow):
            yield layer
        yield from continuous_flows(getattr(layer, "flow_layers", ()))
