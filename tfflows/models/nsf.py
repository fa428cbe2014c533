"""Neural spline flows (Durkan et al. 2019): RQ-NSF(C) and RQ-NSF(AR)."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.layers import (
    ActNorm,
    FlowLayer,
    LULinear,
    MaskedAutoregressive,
    Permute,
    SplineCoupling,
)
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.models.published_flow import PublishedFlow
from tfflows.models.widths import default_width
from tfflows.networks import ResidualMLP
from tfflows.transforms import RationalQuadraticSpline
from tfflows.utils.checks import as_shape, check_positive

LINEARS: dict[str, type[FlowLayer] | None] = {"lu": LULinear, "permutation": Permute, "none": None}


@keras.saving.register_keras_serializable(package="tfflows")
class NSF(PublishedFlow):
    """Steps of a linear layer and a layer of splines, then a last linear layer (section 3).

    Data are `[batch, *event_shape]`, latents `[batch, elements]`. The layers of splines are
    couplings, or autoregressive ones, whose samples cost more.

    Splines move what lies in [-bound, bound]. ActNorm stands first and takes each feature there: to
    mean 0 and standard deviation 1, whatever the units of the data. It is trained on; the paper
    standardizes its tables beforehand. At first the rest is a permutation, which keeps that scale.

    Example:
        flow = tfflows.models.NSF(event_shape=(6,))
        flow.compile("adam", jit_compile=True)
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_steps: linear layers with a layer of splines after each; couplings exchange the kept
            half.
        hidden_units: width of each layer's residual network, for autoregressive ones at least
            elements - 1; None takes 128, for these more where there are more elements.
        num_blocks: residual blocks in it.
        num_bins: pieces of each spline.
        bound: half the length of the interval that splines move.
        linear: "lu" (an LU decomposition with a permutation of the step), "permutation" or "none",
            where couplings exchange the halves and no more, so that every second one moves each
            element.
        activation: within the networks.
        dropout: rate of dropout within the networks of couplings, in training.
        autoregressive: whether the layers of splines are autoregressive, instead of couplings.
        preprocessing: layers before all others, of the model's dtype; Flatten is added where it is
            needed. None is [layers.Standardize()] where events are vectors; [] is none.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_steps: int = 10,
        hidden_units: int | None = None,
        num_blocks: int = 2,
        num_bins: int = 8,
        bound: float = 3.0,
        linear: str = "lu",
        activation: str = "relu",
        dropout: float = 0.0,
        autoregressive: bool = False,
        preprocessing: Sequence[FlowLayer] | None = None,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_steps=num_steps)
        if autoregressive and dropout:
            raise ValueError(f"autoregressive=True requires dropout=0. Received: {dropout!r}")
        if linear not in LINEARS:
            raise ValueError(f"linear must be one of {list(LINEARS)}. Received: {linear!r}")
        layers, num_elements = vector_preprocessing(preprocessing, event_shape, dtype)
        if hidden_units is None:
            hidden_units = default_width(num_elements, least=128) if autoregressive else 128
        layers.append(ActNorm(dtype=dtype))
        for step in range(num_steps):
            layers.extend(_linear(linear, step, dtype))
            if autoregressive:
                spline = RationalQuadraticSpline(num_bins, bound)
                widths = [hidden_units] * (1 + 2 * num_blocks)
                layers.append(
                    MaskedAutoregressive(spline, widths, activation, residual=True, dtype=dtype)
                )
                continue
            network = ResidualMLP(hidden_units, num_blocks, activation, dropout, dtype=dtype)
            layers.append(SplineCoupling("half", step % 2, network, num_bins, bound, dtype=dtype))
        layers.extend(_linear(linear, num_steps, dtype))
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)


def _linear(name, seed, dtype):
    layer = LINEARS[name]
    return [] if layer is None else [layer(seed=seed, dtype=dtype)]
