"""Rotations of angles (Rezende et al. 2020, Normalizing flows on tori and spheres)."""

import math

import keras

from tfflows.backend.tensor_ops import repeat_log_det, wrap
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Rotate(FlowLayer):
    """Turn every element of x, an angle in [-bound, bound], by a trainable one.

        z = x + angle, less the multiple of 2 bound that brings it to [-bound, bound]
        log_det = 0

    with one weight per element of x `[batch, *event]`, zero at first. Circular splines keep the
    point bound = -bound where it is (https://arxiv.org/abs/2002.02428, section 2.1); rotations
    between them move it. Both directions give angles in [-bound, bound] for any number, so that a
    flow with a rotation at both ends takes angles of any turn, and draws them in one.

    Args:
        bound: half of a full turn.

    Example:
        >>> Rotate(180.0)(np.array([[90.0, 270.0]])).numpy()
        array([[ 90., -90.]], dtype=float32)
    """

    def __init__(self, bound: float = math.pi, **kwargs):
        super().__init__(**kwargs)
        if not 0 < bound < math.inf:
            raise ValueError(f"bound must be positive and finite. Received: {bound!r}")
        self.bound = bound

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        self.angle = self.add_weight(name="angle", shape=self.event_shape, initializer="zeros")

    def _forward(self, x, condition=None, training=False):
        return wrap(x + self.angle, self.bound), repeat_log_det(0.0, x)

    def _inverse(self, z, condition=None, training=False):
        return wrap(z - self.angle, self.bound), repeat_log_det(0.0, z)

    def get_config(self):
        return {**super().get_config(), "bound": self.bound}
