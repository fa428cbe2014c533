"""Householder flows (Tomczak and Welling 2016, Improving VAEs using Householder Flow)."""

import keras
from keras import ops

from tfflows.backend.tensor_ops import cut_far, repeat_log_det
from tfflows.layers.amortized import AmortizedLayer
from tfflows.layers.orthogonal import reflect
from tfflows.utils.checks import check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class Householder(AmortizedLayer):
    """Turn vectors x `[batch, size]` by reflections: an orthogonal map that a condition chooses.

        z = H_K ... H_1 x,  H_k = I - 2 v_k v_k^T / |v_k|^2          log_det = 0

    It gives a normal with a diagonal covariance a full one. The v_k are weights, or follow from the
    condition: see `AmortizedLayer`. At first reflections come in equal pairs, which undo each
    other; a last one without a partner reflects.

    Args:
        num_reflections: K, at least 1.

    Example:
        >>> layer = Householder(2)
        >>> x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
        >>> np.linalg.norm(layer(x), axis=1) - np.linalg.norm(x, axis=1) < 1e-5
        array([ True,  True,  True])
    """

    def __init__(self, num_reflections: int = 4, **kwargs):
        super().__init__(**kwargs)
        check_positive(num_reflections=num_reflections)
        self.num_reflections = num_reflections

    def _parameter_shapes(self, size):
        return {"normals": ((self.num_reflections, size), 1.0)}

    def _draw_one(self, name, shape, stddev, dtype):
        rows, count, size = shape
        pairs = super()._draw_one(name, (rows, (count + 1) // 2, size), stddev, dtype)
        return ops.repeat(pairs, 2, axis=1)[:, :count]

    def _forward(self, x, condition=None, training=False):
        (normals,) = self._parameters(condition)
        return reflect(cut_far(x, 1e30), normals), repeat_log_det(0.0, x)

    def _inverse(self, z, condition=None, training=False):
        (normals,) = self._parameters(condition)
        return reflect(cut_far(z, 1e30), normals, reverse=True), repeat_log_det(0.0, z)

    def get_config(self):
        return {**super().get_config(), "num_reflections": self.num_reflections}
