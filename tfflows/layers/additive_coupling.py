"""Additive coupling (Dinh et al. 2015, NICE, section 3.2)."""

import keras
from keras import ops

from tfflows.layers.coupling import Coupling


@keras.saving.register_keras_serializable(package="tfflows")
class AdditiveCoupling(Coupling):
    """Shift part of x by what a network makes of the rest: volume preserving.

        z_kept = x_kept
        z_moved = x_moved + shift(x_kept, condition)      log_det = 0

    Arguments, shapes and errors are those of `Coupling`.
    """

    num_parameters = 1

    def _elementwise(self, moved, parameters):
        (shift,) = parameters
        return moved + shift, ops.zeros_like(moved)

    def _elementwise_inverse(self, moved, parameters):
        (shift,) = parameters
        return moved - shift, ops.zeros_like(moved)
