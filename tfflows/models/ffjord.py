"""FFJORD: free-form continuous dynamics (Grathwohl et al. 2019), for vectors."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.flow import Flow
from tfflows.layers import ContinuousFlow
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.networks import DynamicsMLP
from tfflows.ode.solvers import make_solver
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class FFJORD(Flow):
    """Fields that data follow to the base, one after the other, with MLPs for dynamics.

    With one field it can be trained by flow matching too: `compile(objective="flow_matching")`.

    Example:
        flow = tfflows.models.FFJORD(event_shape=(2,))
        flow.compile("adam", jit_compile=True)
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_flows: fields.
        hidden_units: widths of the hidden layers of each dynamics network.
        kind: how time acts on them, "concatsquash", "concat" or "gated".
        activation: of them, smooth.
        frequencies: octaves of sines and cosines of the state and the time that they are given.
        time_frequencies: those of the time, if not as many.
        radial_field: whether they have a part along the state: see `DynamicsMLP`.
        solver: in training, "euler", "midpoint", "rk4", or "dopri5", which is adaptive.
        num_steps: of the fixed solvers.
        rtol, atol: tolerances of "dopri5", with which everything but training is solved.
        trace: in training, "hutchinson" or "exact".
        test_trace: otherwise; None is "exact" up to 128 elements.
        adjoint: whether training differentiates fixed steps by the adjoint equation.
        kinetic, jacobian: weights of RNODE's regularizers: see `ContinuousFlow`.
        levels: grey levels of discrete data 0..levels-1, or None for real data.
        logit: margin of a logit of data in [0, 1], or None.
        standardize: whether to standardize every feature by statistics of the data.
        whiten: whether to whiten all of them together.
        radial: whether to give the rows, whitened or not, the norms of normal ones.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_flows: int = 1,
        hidden_units: Sequence[int] = (64, 64, 64),
        kind: str = "concatsquash",
        activation: str = "tanh",
        frequencies: int = 0,
        time_frequencies: int | None = None,
        radial_field: bool = False,
        solver: str = "rk4",
        num_steps: int = 8,
        rtol: float = 1e-5,
        atol: float = 1e-5,
        trace: str = "hutchinson",
        test_trace: str | None = None,
        adjoint: bool = False,
        kinetic: float = 0.0,
        jacobian: float = 0.0,
        levels: int | None = None,
        logit: float | None = None,
        standardize: bool = False,
        whiten: bool = False,
        radial: bool = False,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_flows=num_flows)
        settings = {
            "trace": trace,
            "test_trace": test_trace,
            "adjoint": adjoint,
            "kinetic": kinetic,
            "jacobian": jacobian,
        }
        layers = vector_preprocessing(
            event_shape, levels, logit, standardize, whiten, radial, dtype
        )
        for _ in range(num_flows):
            field = ContinuousFlow(
                solver=make_solver(solver, num_steps, rtol, atol),
                test_solver=make_solver("dopri5", num_steps, rtol, atol),
                **settings,
                dtype=dtype,
            )
            field.network = DynamicsMLP(
                hidden_units,
                kind,
                activation,
                frequencies,
                time_frequencies,
                radial_field,
                dtype=field.compute_dtype,
            )
            layers.append(field)
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
        self._arguments = {
            **settings,
            "num_flows": num_flows,
            "hidden_units": list(hidden_units),
            "kind": kind,
            "activation": activation,
            "frequencies": frequencies,
            "time_frequencies": time_frequencies,
            "radial_field": radial_field,
            "solver": solver,
            "num_steps": num_steps,
            "rtol": rtol,
            "atol": atol,
            "levels": levels,
            "logit": logit,
            "standardize": standardize,
            "whiten": whiten,
            "radial": radial,
        }

    def get_config(self):
        return {**self._common_config(), **self._arguments}
