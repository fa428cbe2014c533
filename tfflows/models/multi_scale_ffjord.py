"""Multi-scale FFJORD (Grathwohl et al. 2019, section 4.2) for images."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.flow import Flow
from tfflows.layers import ActNorm, ContinuousFlow, FactorOut, Flatten, Squeeze
from tfflows.models.preprocessing import preprocessing
from tfflows.networks import DynamicsConvNet
from tfflows.ode.solvers import make_solver
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class MultiScaleFFJORD(Flow):
    """Convolutional fields at several resolutions of images `(height, width, channels)`.

    Each scale has `fields_per_scale` fields, a squeeze, as many more, and factors half of the
    channels out; the last scale has no squeeze. The factored-out half is normalised given the other
    (see `FactorOut`). Log-dets are Hutchinson's estimates, by one fixed direction a field outside
    of training: `log_prob` repeats, but is exact only on average over directions.

    Args:
        event_shape: (height, width, channels); 2**(num_scales - 1) divides height and width.
        num_scales: resolutions, at least 1.
        fields_per_scale: fields before a squeeze, and after it.
        filters: channels of the hidden convolutions of each field.
        kind: how time acts on them, "concatsquash", "concat" or "gated".
        activation: of them, smooth.
        solver: in training, "euler", "midpoint", "rk4", or "dopri5", which is adaptive.
        num_steps: of the fixed solvers.
        rtol, atol: tolerances of "dopri5", with which everything but training is solved.
        adjoint: whether training differentiates fixed steps by the adjoint equation.
        kinetic, jacobian: weights of RNODE's regularizers (Finlay et al. 2020, 0.01 both).
        levels: grey levels of discrete data 0..levels-1, or None for real data.
        logit: margin of the logit of data in [0, 1] (0.05 for natural images), or None.
        base: distribution of the latents, vectors; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_scales: int = 2,
        fields_per_scale: int = 1,
        filters: Sequence[int] = (64, 64, 64),
        kind: str = "concatsquash",
        activation: str = "softplus",
        solver: str = "rk4",
        num_steps: int = 4,
        rtol: float = 1e-5,
        atol: float = 1e-5,
        adjoint: bool = False,
        kinetic: float = 0.01,
        jacobian: float = 0.01,
        levels: int | None = 256,
        logit: float | None = 0.05,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_scales=num_scales, fields_per_scale=fields_per_scale)
        factor = 2 ** (num_scales - 1)
        if len(event_shape) != 3 or any(side % factor for side in event_shape[:2]):
            raise ValueError(
                "MultiScaleFFJORD wants event_shape (height, width, channels) with height and "
                f"width that 2**(num_scales - 1) = {factor} divides. Received: {event_shape}"
            )
        settings = {"adjoint": adjoint, "kinetic": kinetic, "jacobian": jacobian}

        def fields():
            for _ in range(fields_per_scale):
                field = ContinuousFlow(
                    solver=make_solver(solver, num_steps, rtol, atol),
                    test_solver=make_solver("dopri5", num_steps, rtol, atol),
                    test_trace="hutchinson",
                    **settings,
                    dtype=dtype,
                )
                field.network = DynamicsConvNet(
                    filters, kind, activation, dtype=field.compute_dtype
                )
                yield field

        def scale(remaining):
            if remaining == 1:
                return [*fields(), Flatten(dtype=dtype)]
            rest = FactorOut(scale(remaining - 1), dtype=dtype)
            return [*fields(), Squeeze(dtype=dtype), *fields(), rest]

        layers = [*preprocessing(levels, logit, False, dtype), ActNorm(dtype=dtype)]
        layers += scale(num_scales)
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
        self._arguments = {
            **settings,
            "num_scales": num_scales,
            "fields_per_scale": fields_per_scale,
            "filters": list(filters),
            "kind": kind,
            "activation": activation,
            "solver": solver,
            "num_steps": num_steps,
            "rtol": rtol,
            "atol": atol,
            "levels": levels,
            "logit": logit,
        }

    def get_config(self):
        return {**self._common_config(), **self._arguments}
