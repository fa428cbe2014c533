"""RealNVP (Dinh, Sohl-Dickstein and Bengio 2017) for tables and other vectors."""

from collections.abc import Sequence

import keras
import numpy as np

from tfflows.distributions import Distribution
from tfflows.layers import AffineCoupling, FlowLayer
from tfflows.models.normalization import normalization_layers
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.models.published_flow import PublishedFlow
from tfflows.networks import MLP
from tfflows.transforms.log_scale import deep_log_scale
from tfflows.utils.checks import as_shape, check_positive


def _random_half(size, seed):
    """A boolean mask `[size]` of which half is True."""
    return np.random.default_rng(seed).permutation(size) < size // 2


@keras.saving.register_keras_serializable(package="tfflows")
class RealNVP(PublishedFlow):
    """Affine couplings that exchange the kept half each time, with a normalization before each.

    Data are `[batch, *event_shape]`, latents `[batch, elements]`.

    Example:
        flow = tfflows.models.RealNVP(event_shape=(2,))
        flow.compile("adam")
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_couplings: affine couplings.
        hidden_units: widths of each coupling's network.
        activation: of the hidden layers.
        partition: what a pair of couplings exchanges: "half", "checkerboard" (alternating
            elements) or "random" (another random half in each pair).
        log_scale: how couplings bound scales: "soft_clip" (1e-3 to 1e3), "two_sigmoid" (1e-3 to 2)
            or a number c (1 / c to c). None is "soft_clip" in stacks of up to 10 couplings, and in
            deeper ones the c with which all of them scale an element by 1e15 at most: more leaves
            float32 at an outlier.
        normalization: "actnorm", "batch_norm" (the paper's, on running statistics) or None.
        preprocessing: layers before all others, of the model's dtype; Flatten is added where it is
            needed. None is [layers.Standardize()] where events are vectors; [] is none.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_couplings: int = 8,
        hidden_units: Sequence[int] = (256, 256),
        activation: str = "relu",
        partition: str = "half",
        log_scale: str | float | None = None,
        normalization: str | None = "actnorm",
        preprocessing: Sequence[FlowLayer] | None = None,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_couplings=num_couplings)
        layers, num_elements = vector_preprocessing(preprocessing, event_shape, dtype)
        if log_scale is None:
            log_scale = deep_log_scale(moves=num_couplings / 2)
        for i in range(num_couplings):
            layers += normalization_layers(normalization, dtype)
            network = MLP(hidden_units, activation, dtype=dtype)
            is_drawn = partition == "random"
            kept = _random_half(num_elements, seed=i // 2) if is_drawn else partition
            layers.append(AffineCoupling(kept, i % 2, network, log_scale, dtype=dtype))
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
