"""NICE: non-linear independent components estimation (Dinh, Krueger and Bengio 2015)."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution, StandardLogistic
from tfflows.layers import AdditiveCoupling, DiagonalScaling, FlowLayer
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.models.published_flow import PublishedFlow
from tfflows.models.widths import default_widths
from tfflows.networks import MLP
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class NICE(PublishedFlow):
    """Additive couplings on alternating elements, a diagonal scaling, a logistic base.

    Data are `[batch, *event_shape]`, latents `[batch, elements]`. The paper's MNIST network has
    four couplings of five hidden layers of 1000 rectified units (section 5.1, table 3):

        NICE((28, 28, 1), hidden_units=[1000] * 5, preprocessing=[layers.Dequantize(256)])

    Example:
        flow = tfflows.models.NICE(event_shape=(6,))
        flow.compile("adam")
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_couplings: additive couplings, exchanging the kept elements each time.
        hidden_units: widths of each coupling's network; None takes two layers of 256, or of as many
            units as there are elements where these are more.
        activation: of the hidden layers.
        preprocessing: layers before the couplings, of the model's dtype; Flatten is added where it
            is needed. None is [layers.Standardize()] where events are vectors; [] is none.
        base: distribution of the latents; standard logistic by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_couplings: int = 4,
        hidden_units: Sequence[int] | None = None,
        activation: str = "relu",
        preprocessing: Sequence[FlowLayer] | None = None,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_couplings=num_couplings)
        layers, num_elements = vector_preprocessing(preprocessing, event_shape, dtype)
        if hidden_units is None:
            hidden_units = default_widths(num_elements)
        for i in range(num_couplings):
            network = MLP(hidden_units, activation, dtype=dtype)
            layers.append(AdditiveCoupling("checkerboard", i % 2, network, dtype=dtype))
        layers.append(DiagonalScaling(dtype=dtype))
        base = base or StandardLogistic(dtype=dtype)
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
