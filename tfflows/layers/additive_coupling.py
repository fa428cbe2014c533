"""Additive coupling (Dinh et al. 2015, NICE, section 3.2)."""

import keras

from tfflows.layers.coupling import Coupling
from tfflows.transforms import Shift


@keras.saving.register_keras_serializable(package="tfflows")
class AdditiveCoupling(Coupling):
    """Shift part of x by what a network makes of the rest: volume preserving.

        z_kept = x_kept
        z_moved = x_moved + shift(x_kept, condition)      log_det = 0

    Arguments, shapes and errors are those of `Coupling`.
    """

    def _make_transform(self):
        return Shift()
