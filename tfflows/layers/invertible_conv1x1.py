"""Invertible 1x1 convolutions (Kingma and Dhariwal 2018, Glow, section 3.2)."""

import random as python_random

import keras
import numpy as np
from keras import ops

from tfflows.backend.constants import Constant
from tfflows.backend.precision import precise_matmul
from tfflows.backend.tensor_ops import cut_far, identity, repeat_log_det
from tfflows.layers.flow_layer import FlowLayer
from tfflows.layers.lu_linear import lu_inverse

FORMS = ("plain", "lu")


@keras.saving.register_keras_serializable(package="tfflows")
class InvertibleConv1x1(FlowLayer):
    """Multiply the channels at every position by one matrix W `[channels, channels]`.

        z = W x at each position              log_det = positions * log|det W|

    for x `[batch, ..., channels]`. W starts as a random rotation, of log-det zero. It is either the
    weight itself ("plain", equation 9), whose determinant each call takes from a QR decomposition,
    which XLA has, or P L U with a fixed permutation P, a unit lower triangular L and an upper
    triangular U ("lu", equations 10 and 11), whose log-det is the sum of `log_diagonal`, and which
    no training step makes singular.

    Args:
        form: "lu" or "plain".
        seed: integer seed of the rotation; None takes a fresh one, which is saved.
    """

    def __init__(self, form: str = "lu", seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if form not in FORMS:
            raise ValueError(f"form must be one of {FORMS}. Received: {form!r}")
        self.form = form
        self.seed = python_random.getrandbits(31) if seed is None else seed

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        *positions, channels = self.event_shape
        self._num_positions = int(np.prod(positions, dtype="int64"))
        normal = np.random.default_rng(self.seed).normal(size=(channels, channels))
        rotation = np.linalg.qr(normal)[0]
        if self.form == "plain":
            self.kernel = self._add_weight("kernel", rotation)
            return
        from scipy.linalg import lu

        permutation, lower, upper = lu(rotation)
        self._order = Constant(np.argmax(permutation, axis=1).astype("int32"))  # P y = y[order]
        diagonal = np.diag(upper)
        self._sign = Constant(np.sign(diagonal))
        self.factors = self._add_weight("factors", np.tril(lower, -1) + np.triu(upper, 1))
        self.log_diagonal = self._add_weight("log_diagonal", np.log(np.abs(diagonal)))

    def _add_weight(self, name, value):
        weight = self.add_weight(name=name, shape=value.shape, initializer="zeros")
        weight.assign(value)
        return weight

    def _lower_and_upper(self):
        factors = ops.convert_to_tensor(self.factors)
        diagonal = ops.cast(self._sign.value, factors.dtype) * ops.exp(self.log_diagonal)
        unit = identity(self.event_shape[-1], factors.dtype)
        return ops.tril(factors, -1) + unit, ops.triu(factors, 1) + diagonal * unit

    def _matrix_and_log_det(self):
        if self.form == "plain":
            _, upper = ops.qr(ops.convert_to_tensor(self.kernel))
            return self.kernel, ops.sum(ops.log(ops.abs(ops.diagonal(upper))))
        lower, upper = self._lower_and_upper()
        return ops.take(precise_matmul(lower, upper), self._order.value, axis=0), ops.sum(
            self.log_diagonal
        )

    def _inverse_matrix_and_log_det(self):
        if self.form == "plain":
            rotation, upper = ops.qr(ops.convert_to_tensor(self.kernel))
            inverse = ops.solve_triangular(upper, ops.transpose(rotation))
            return inverse, -ops.sum(ops.log(ops.abs(ops.diagonal(upper))))
        return lu_inverse(*self._lower_and_upper(), self._order.value), -ops.sum(self.log_diagonal)

    def _constants(self):
        return [] if self.form == "plain" else [self._order, self._sign]

    def _structure_arguments(self):
        return {"seed": None}  # of first weights and constants

    def _forward(self, x, condition=None, training=False):
        matrix, log_det = self._matrix_and_log_det()
        return precise_matmul(cut_far(x, 1e30), ops.transpose(matrix)), self._repeat(log_det, x)

    def _inverse(self, z, condition=None, training=False):
        matrix, log_det = self._inverse_matrix_and_log_det()
        return precise_matmul(z, ops.transpose(matrix)), self._repeat(log_det, z)

    def _repeat(self, log_det, x):
        return repeat_log_det(self._num_positions * log_det, x)

    def load_own_variables(self, store):
        super().load_own_variables(store)
        if self.form == "plain":
            smallest = np.linalg.svd(ops.convert_to_numpy(self.kernel), compute_uv=False)[-1]
            if not smallest > 1e-7:  # NaN too
                raise ValueError(
                    "InvertibleConv1x1 expects an invertible kernel. Received: weights with a "
                    f"smallest singular value of {smallest:.2g}"
                )

    def get_config(self):
        return {**super().get_config(), "form": self.form, "seed": self.seed}
