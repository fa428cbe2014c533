"""Coupling by distribution functions of logistic mixtures (Ho et al. 2019, Flow++, section 3.2)."""

from collections.abc import Sequence

import keras
import numpy as np

from tfflows.layers.coupling import Coupling
from tfflows.transforms import LogisticMixtureCDF


@keras.saving.register_keras_serializable(package="tfflows")
class LogisticMixtureCoupling(Coupling):
    """Bend part of x by distribution functions that a network makes of the rest.

        z_kept = x_kept
        z_moved = logit(F(x_moved)) exp(a) + b          log_det = sum(log dz/dx)
        F, a, b from network(x_kept, condition)

    The transform is `LogisticMixtureCDF`, on the whole real line. Flow++ has the conditioner
    `networks.GatedAttention`.

    Arguments, shapes and errors are those of `Coupling`, and

    Args:
        num_components: logistics of each mixture.
    """

    def __init__(
        self,
        partition: str | Sequence | np.ndarray = "half",
        parity: int = 0,
        conditioner: keras.layers.Layer | None = None,
        num_components: int = 8,
        **kwargs,
    ):
        super().__init__(partition, parity, conditioner, **kwargs)
        self.num_components = num_components
        LogisticMixtureCDF(num_components)  # says what is wrong with it

    def _make_transform(self):
        return LogisticMixtureCDF(self.num_components)

    def get_config(self):
        return {**super().get_config(), "num_components": self.num_components}
