"""Multi-scale FFJORD (Grathwohl et al. 2019, section 4.2) for images."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.layers import ActNorm, FactorOut, Flatten, Squeeze
from tfflows.models.fields import field_maker
from tfflows.models.preprocessing import image_preprocessing
from tfflows.models.published_flow import PublishedFlow
from tfflows.ode import FixedStep, Solver
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class MultiScaleFFJORD(PublishedFlow):
    """Convolutional fields at several resolutions of images `(height, width, channels)`.

    Each scale has `fields_per_scale` fields, a squeeze, as many more, and factors half of the
    channels out; the last scale has no squeeze. The factored-out half is normalised given the other
    (see `FactorOut`). Log-dets are Hutchinson's estimates, by one fixed direction per field outside
    of training: `log_prob` repeats, but is exact only on average over directions. Data are
    `[batch, height, width, channels]`, latents `[batch, elements]`.

    Example:
        flow = tfflows.models.MultiScaleFFJORD(
            (28, 28, 1), network=tfflows.networks.DynamicsConvNet([32, 32])
        )
        flow.compile("adam", jit_compile=True)
        flow.fit(images, epochs=10)  # integers 0..255

    Args:
        event_shape: (height, width, channels); 2**(num_scales - 1) divides height and width.
        num_scales: resolutions, at least 1.
        fields_per_scale: fields before a squeeze, and after it.
        network: dynamics of the first field; further fields get fresh networks of its config. None
            is `DynamicsConvNet()`. It must compute in the model's dtype, in float32 under a mixed
            one.
        solver: in training; `FixedStep("rk4", num_steps=4)` by default.
        test_solver: otherwise; `DormandPrince(rtol=1e-5, atol=1e-5)` by default.
        adjoint: whether training differentiates fixed steps by the adjoint equation.
        kinetic_weight, jacobian_weight: of RNODE's regularizers (Finlay et al. 2020, 0.01 both).
        quantization_levels: grey levels of discrete data 0..levels-1, or None for real data.
        logit: margin of the logit of data in [0, 1] (0.05 for natural images), or None.
        base: distribution of the latents, vectors; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_scales: int = 2,
        fields_per_scale: int = 1,
        network: keras.layers.Layer | None = None,
        solver: Solver | None = None,
        test_solver: Solver | None = None,
        adjoint: bool = False,
        kinetic_weight: float = 0.01,
        jacobian_weight: float = 0.01,
        quantization_levels: int | None = 256,
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
                "Expected `event_shape` to be (height, width, channels) with height and "
                f"width that 2**(num_scales - 1) = {factor} divides. Received: {event_shape}"
            )
        field = field_maker(
            network,
            dtype,
            solver=FixedStep("rk4", num_steps=4) if solver is None else solver,
            test_solver=test_solver,
            test_trace="hutchinson",
            adjoint=adjoint,
            kinetic_weight=kinetic_weight,
            jacobian_weight=jacobian_weight,
        )

        def fields():
            return [field() for _ in range(fields_per_scale)]

        def scale(remaining):
            layers = fields()
            if remaining == 1:
                return [*layers, Flatten(dtype=dtype)]
            layers += [Squeeze(dtype=dtype), *fields()]
            return [*layers, FactorOut(scale(remaining - 1), dtype=dtype)]

        layers = image_preprocessing(quantization_levels, logit, dtype)
        layers += [ActNorm(dtype=dtype), *scale(num_scales)]
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
