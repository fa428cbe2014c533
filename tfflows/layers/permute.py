"""Fixed permutations of the last axis."""

import random as python_random
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend.constants import Constant
from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Permute(FlowLayer):
    """Reorder the last axis of x `[batch, ..., channels]`: z[..., i] = x[..., permutation[i]].

    The log-det is zero.

    Args:
        permutation: the order, `[channels]`; None draws one from `seed`.
        seed: integer seed of a drawn permutation; None takes a fresh one, which is saved.
    """

    def __init__(self, permutation: Sequence[int] | None = None, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.permutation = None if permutation is None else [int(i) for i in permutation]
        self.seed = python_random.getrandbits(31) if seed is None else seed

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if not self.event_shape:
            raise ValueError(
                "Permute needs events of at least one axis. Received: event of shape ()"
            )
        channels = self.event_shape[-1]
        order = self.permutation
        if order is None:
            order = np.random.default_rng(self.seed).permutation(channels)
        if sorted(order) != list(range(channels)):
            raise ValueError(
                f"permutation must hold each of 0..{channels - 1} once. Received: {list(order)}"
            )
        self._order = Constant(np.asarray(order, "int32"))
        self._inverse_order = Constant(np.argsort(order).astype("int32"))

    def _constants(self):
        return [self._order, self._inverse_order]

    def _structure_arguments(self):
        return {"permutation": None, "seed": None}

    def _forward(self, x, condition=None, training=False):
        return ops.take(x, self._order.value, axis=-1), repeat_log_det(0.0, x)

    def _inverse(self, z, condition=None, training=False):
        return ops.take(z, self._inverse_order.value, axis=-1), repeat_log_det(0.0, z)

    def get_config(self):
        return {**super().get_config(), "permutation": self.permutation, "seed": self.seed}
