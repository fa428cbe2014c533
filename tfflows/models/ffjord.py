"""FFJORD: free-form continuous dynamics (Grathwohl et al. 2019), for vectors."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.layers import FlowLayer
from tfflows.models.fields import field_maker
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.models.published_flow import PublishedFlow
from tfflows.ode import Solver
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class FFJORD(PublishedFlow):
    """Fields that data follow to the base, one after the other.

    Data are `[batch, *event_shape]`, latents `[batch, elements]`. With one field it can be trained
    by flow matching too: `compile(objective="flow_matching")`.

    Example:
        flow = tfflows.models.FFJORD(
            event_shape=(2,),
            network=tfflows.networks.DynamicsMLP([128, 128], activation="silu"),
            solver=tfflows.ode.FixedStep("rk4", num_steps=8),
        )
        flow.compile("adam", jit_compile=True)
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_flows: fields.
        network: dynamics of the first field; further fields get fresh networks of its config. None
            is `DynamicsMLP()`. It must compute in the model's dtype, in float32 under a mixed one.
        solver: in training; `FixedStep("rk4", num_steps=8)` by default.
        test_solver: otherwise; `DormandPrince(rtol=1e-5, atol=1e-5)` by default.
        trace: in training, "hutchinson" or "exact".
        test_trace: otherwise; None is "exact" up to 128 elements.
        adjoint: whether training differentiates fixed steps by the adjoint equation.
        kinetic_weight, jacobian_weight: of RNODE's regularizers: see `ContinuousFlow`.
        preprocessing: layers before all others, of the model's dtype; Flatten is added where it is
            needed. None is [layers.Standardize()] where events are vectors; [] is none.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_flows: int = 1,
        network: keras.layers.Layer | None = None,
        solver: Solver | None = None,
        test_solver: Solver | None = None,
        trace: str = "hutchinson",
        test_trace: str | None = None,
        adjoint: bool = False,
        kinetic_weight: float = 0.0,
        jacobian_weight: float = 0.0,
        preprocessing: Sequence[FlowLayer] | None = None,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_flows=num_flows)
        layers, _ = vector_preprocessing(preprocessing, event_shape, dtype)
        field = field_maker(
            network,
            dtype,
            solver=solver,
            test_solver=test_solver,
            trace=trace,
            test_trace=test_trace,
            adjoint=adjoint,
            kinetic_weight=kinetic_weight,
            jacobian_weight=jacobian_weight,
        )
        layers += [field() for _ in range(num_flows)]
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
