"""Affine coupling (Dinh et al. 2017, RealNVP, equations 4 to 8)."""

from collections.abc import Sequence

import keras
import numpy as np

from tfflows.layers.coupling import Coupling
from tfflows.transforms import Affine
from tfflows.transforms.log_scale import log_scale_bound


@keras.saving.register_keras_serializable(package="tfflows")
class AffineCoupling(Coupling):
    """Scale and shift part of x by what a network makes of the rest.

        z_kept = x_kept
        z_moved = x_moved exp(log_scale) + shift          log_det = sum(log_scale)
        log_scale, shift = bound(s), t;  s, t = network(x_kept, condition)

    Arguments, shapes and errors are those of `Coupling`, and

    Args:
        log_scale: how s is bounded: "soft_clip" (scales 1e-3 to 1e3, for tables) or "two_sigmoid"
            (scales 1e-3 to 2, for images), or a number c, for scales of 1 / c to c. None takes the
            name that fits the event.
    """

    def __init__(
        self,
        partition: str | Sequence | np.ndarray = "half",
        parity: int = 0,
        conditioner: keras.layers.Layer | None = None,
        log_scale: str | float | None = None,
        **kwargs,
    ):
        super().__init__(partition, parity, conditioner, **kwargs)
        if log_scale is not None:
            log_scale_bound(log_scale)
        self.log_scale = log_scale

    def _make_transform(self):
        default = "soft_clip" if len(self.event_shape) == 1 else "two_sigmoid"
        return Affine(self.log_scale or default)

    def get_config(self):
        return {**super().get_config(), "log_scale": self.log_scale}
