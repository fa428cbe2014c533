"""MADE as a density of its own (Germain et al. 2015; Papamakarios et al. 2017)."""

from collections.abc import Sequence

import keras

from tfflows.distributions import AutoregressiveMixture, Distribution
from tfflows.flow import Flow
from tfflows.layers import MaskedAutoregressive
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows", name="MADEFlow")
class MADE(Flow):
    """p(x) = prod_i p(x_i | x_1..x_i-1), each a normal, or a mixture of normals (MADE MoG).

    Normals are one autoregressive layer on a standard normal base; mixtures are the base itself, an
    `AutoregressiveMixture`, and the latents then are the data after preprocessing.

    Example:
        flow = tfflows.models.MADE(event_shape=(63,), num_components=10, hidden_units=[512])
        flow.compile("adam", jit_compile=True)
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_components: normals in each conditional.
        hidden_units: widths of the network's hidden layers, at least elements - 1 each.
        activation: of the hidden layers.
        residual: whether the network is residual; wants an odd number of equal widths.
        order: "sequential", "reversed", "random", or the elements' indices in their order.
        seed: integer of a random order.
        levels: grey levels of discrete data 0..levels-1, or None for real data.
        logit: margin of a logit of data in [0, 1], or None.
        standardize: whether to standardize every feature by statistics of the data.
        whiten: whether to whiten all of them together.
        radial: whether to give the rows, whitened or not, the norms of normal ones.
        base: of the latents of normals; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_components: int = 1,
        hidden_units: Sequence[int] = (256, 256),
        activation: str = "relu",
        residual: bool = False,
        order: str | Sequence[int] = "sequential",
        seed: int | None = None,
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
        check_positive(num_components=num_components)
        layers = vector_preprocessing(
            event_shape, levels, logit, standardize, whiten, radial, dtype
        )
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
                f"With num_components={num_components} the base is an AutoregressiveMixture. "
                f"Received: {base!r}"
            )
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
        self._arguments = {
            **network,
            "num_components": num_components,
            "hidden_units": list(hidden_units),
            "levels": levels,
            "logit": logit,
            "standardize": standardize,
            "whiten": whiten,
            "radial": radial,
        }

    def get_config(self):
        return {**self._common_config(), **self._arguments}
