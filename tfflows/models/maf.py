"""MAF: masked autoregressive flow (Papamakarios, Pavlakou and Murray 2017)."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.layers import FlowLayer, MaskedAutoregressive
from tfflows.models.normalization import normalization_layers
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.models.published_flow import PublishedFlow
from tfflows.models.widths import default_widths
from tfflows.transforms import Affine
from tfflows.transforms.log_scale import deep_log_scale
from tfflows.utils.checks import as_shape, check_positive

ORDERS = ("alternating", "random")


@keras.saving.register_keras_serializable(package="tfflows")
class MAF(PublishedFlow):
    """Autoregressive layers with affine transforms, each in another order of the elements.

    Data are `[batch, *event_shape]`, latents `[batch, elements]`. A density takes one pass of each
    network, a sample about as much in many small steps. With
    `base=AutoregressiveMixture(10, hidden_units)` it is the paper's MAF MoG.

    Example:
        flow = tfflows.models.MAF(event_shape=(63,), hidden_units=[512, 512])
        flow.compile("adam", jit_compile=True)
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_layers: autoregressive layers.
        hidden_units: widths of each layer's network, at least elements - 1 each; None takes two
            layers (three if residual) of 256, or of more where there are more elements.
        activation: of the hidden layers.
        residual: whether the networks are residual; requires an odd number of equal widths.
        order: "alternating" (the data's order and its reverse in turn, the paper's) or "random"
            (another one in each layer).
        log_scale: how layers bound scales: "soft_clip" (1e-3 to 1e3), "two_sigmoid" (1e-3 to 2) or
            a number c (1 / c to c). None is "soft_clip" in stacks of up to 5 layers, and in deeper
            ones the c with which all of them scale an element by 1e15 at most.
        normalization: before each layer: "actnorm", "batch_norm" (the paper's) or None.
        inversion: how layers find the way back, "incremental", "jacobi" (few rows) or "sequential":
            see `MaskedAutoregressive`.
        preprocessing: layers before all others, of the model's dtype; Flatten is added where it is
            needed. None is [layers.Standardize()] where events are vectors; [] is none.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    _layer = MaskedAutoregressive

    def __init__(
        self,
        event_shape: Sequence[int],
        num_layers: int = 5,
        hidden_units: Sequence[int] | None = None,
        activation: str = "relu",
        residual: bool = False,
        order: str = "alternating",
        log_scale: str | float | None = None,
        normalization: str | None = "actnorm",
        inversion: str = "incremental",
        preprocessing: Sequence[FlowLayer] | None = None,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_layers=num_layers)
        if order not in ORDERS:
            raise ValueError(f"order must be one of {list(ORDERS)}. Received: {order!r}")
        layers, num_elements = vector_preprocessing(preprocessing, event_shape, dtype)
        if hidden_units is None:
            hidden_units = default_widths(num_elements, residual)
        if log_scale is None:
            log_scale = deep_log_scale(moves=num_layers)
        for i in range(num_layers):
            layers += normalization_layers(normalization, dtype)
            own = order if order == "random" else ("sequential", "reversed")[i % 2]
            layers.append(
                self._layer(
                    Affine(log_scale),
                    hidden_units,
                    activation,
                    residual,
                    own,
                    seed=i,
                    inversion=inversion,
                    dtype=dtype,
                )
            )
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
