"""NICE: non-linear independent components estimation (Dinh, Krueger and Bengio 2015)."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution, StandardLogistic
from tfflows.flow import Flow
from tfflows.layers import AdditiveCoupling, DiagonalScaling
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.networks import MLP
from tfflows.utils.checks import as_shape, check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class NICE(Flow):
    """Additive couplings on alternating elements, a diagonal scaling, a logistic base.

    The defaults are the paper's MNIST network (section 5.1, table 3): four couplings, each with
    five hidden layers of 1000 rectified units, which `NICE((28, 28, 1), levels=256)` builds for
    raw pixels.

    Args:
        event_shape: shape of one example; images are flattened.
        num_couplings: additive couplings, exchanging the kept elements each time.
        hidden_units: widths of each coupling's network.
        activation: of the hidden layers.
        levels: grey levels of discrete data 0..levels-1 (256 for 8-bit images), or None.
        logit: margin of a logit of data in [0, 1], or None for none (the paper's way).
        standardize: whether to standardize every channel by statistics of the data.
        whiten: whether to whiten all of them together.
        radial: whether to give the rows, whitened or not, the norms of normal ones.
        base: distribution of the latents; standard logistic by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_couplings: int = 4,
        hidden_units: Sequence[int] = (1000,) * 5,
        activation: str = "relu",
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
        check_positive(num_couplings=num_couplings)
        layers = vector_preprocessing(
            event_shape, levels, logit, standardize, whiten, radial, dtype
        )
        for i in range(num_couplings):
            network = MLP(hidden_units, activation, dtype=dtype)
            layers.append(AdditiveCoupling("checkerboard", i % 2, network, dtype=dtype))
        layers.append(DiagonalScaling(dtype=dtype))
        base = base or StandardLogistic(dtype=dtype)
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
        self._arguments = {
            "num_couplings": num_couplings,
            "hidden_units": list(hidden_units),
            "activation": activation,
            "levels": levels,
            "logit": logit,
            "standardize": standardize,
            "whiten": whiten,
            "radial": radial,
        }

    def get_config(self):
        return {**self._common_config(), **self._arguments}
