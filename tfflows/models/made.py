"""MADE as a density (Germain et al. 2015; Papamakarios et al. 2017)."""

from collections.abc import Sequence

import keras

from tfflows.distributions import AutoregressiveMixture, Distribution
from tfflows.layers import FlowLayer, MaskedAutoregressive
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.models.published_flow import PublishedFlow
from tfflows.models.widths import default_widths
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class MADEFlow(PublishedFlow):
    """p(x) = prod_i p(x_i | x_1..x_i-1), each a normal, or a mixture of normals (MADE MoG).

    Data are `[batch, *event_shape]`, latents `[batch, elements]`. Normals are one autoregressive
    layer on a standard normal base; mixtures are the base itself, an `AutoregressiveMixture`, and
    the latents then are the data after preprocessing.

    Example:
        flow = tfflows.models.MADEFlow(event_shape=(63,), num_components=10, hidden_units=[512])
        flow.compile("adam", jit_compile=True)
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_components: normals in each conditional.
        hidden_units: widths of the network's hidden layers, at least elements - 1 each; None takes
            two layers (three if residual) of 256, or of more where there are more elements.
        activation: of the hidden layers.
        residual: whether the network is residual; requires an odd number of equal widths.
        order: "sequential", "reversed", "random", or the elements' indices in their order.
        seed: integer of a random order.
        preprocessing: layers before all others, of the model's dtype; Flatten is added where it is
            needed. None is [layers.Standardize()] where events are vectors; [] is none.
        base: of the latents of normals; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_components: int = 1,
        hidden_units: Sequence[int] | None = None,
        activation: str = "relu",
        residual: bool = False,
        order: str | Sequence[int] = "sequential",
        seed: int | None = None,
        preprocessing: Sequence[FlowLayer] | None = None,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_components=num_components)
        layers, num_elements = vector_preprocessing(preprocessing, event_shape, dtype)
        if hidden_units is None:
            hidden_units = default_widths(num_elements, residual)
        network = {
            "hidden_units": hidden_units,
            "activation": activation,
            "residual": residual,
            "order": order if isinstance(order, str) else list(order),
            "seed": seed,
        }
        if num_components == 1:
            layers.append(MaskedAutoregressive(**network, dtype=dtype))
        elif base is None:
            base = AutoregressiveMixture(num_components, **network, dtype=dtype)
        elif not isinstance(base, AutoregressiveMixture):
            raise ValueError(
                f"Expected `base` to be an AutoregressiveMixture with num_components="
                f"{num_components}. Received: {base!r}"
            )
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
