"""Invertible linear layers by an LU decomposition (Kingma and Dhariwal 2018, Glow, equation 11)."""

import math
import random as python_random

import keras
import numpy as np
from keras import ops

from tfflows.backend.constants import Constant
from tfflows.backend.precision import precise_matmul
from tfflows.backend.tensor_ops import Tensor, cut_far, identity, repeat_log_det
from tfflows.layers.flow_layer import FlowLayer

MIN_DIAGONAL = 1e-3


def lu_inverse(lower: Tensor, upper: Tensor, order: Tensor) -> Tensor:
    """Inverse of P L U `[size, size]`, where (P y)[i] = y[order[i]].

    Solved for the unit vectors, and not for data: the cost of a solve, which is sequential, is then
    that of a small matrix however large the batch.
    """
    unit = identity(lower.shape[0], lower.dtype)
    matrix = ops.solve_triangular(upper, ops.solve_triangular(lower, unit, lower=True))
    return ops.take(matrix, order, axis=1)  # times P transposed


@keras.saving.register_keras_serializable(package="tfflows")
class LULinear(FlowLayer):
    """Multiply vectors x `[batch, size]` by a matrix whose inverse and determinant are cheap.

        z = P L U x + bias                    log_det = sum(log diag(U))

    P is a fixed permutation; L is lower triangular with a unit diagonal; U is upper triangular
    with the diagonal softplus(.) + 1e-3, so that it never becomes singular (Oliva et al. 2018;
    Durkan et al. 2019, section 3.2). One weight `[size, size]` holds both factors; where it is
    zero, as at first, the layer is the permutation. Both directions take one product of matrices.

    Args:
        seed: integer seed of the permutation; None takes a fresh one, which is saved.
        bias: whether to add a trainable bias.
    """

    needs_vectors = True

    def __init__(self, seed: int | None = None, bias: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.seed = python_random.getrandbits(31) if seed is None else seed
        self.bias = bias

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                f"LULinear needs vectors, [batch, size]. Received: x of shape {tuple(x_shape)}"
            )
        (size,) = self.event_shape
        order = np.random.default_rng(self.seed).permutation(size).astype("int32")
        self._order = Constant(order)
        self.factors = self.add_weight(name="factors", shape=(size, size), initializer="zeros")
        self.shift = None
        if self.bias:
            self.shift = self.add_weight(name="shift", shape=(size,), initializer="zeros")

    def _lower_upper_and_diagonal(self):
        factors = ops.convert_to_tensor(self.factors)
        one = math.log(math.expm1(1 - MIN_DIAGONAL))  # softplus(one) + MIN_DIAGONAL = 1
        unit = identity(factors.shape[0], factors.dtype)
        diagonal = ops.softplus(ops.sum(factors * unit, axis=0) + one) + MIN_DIAGONAL
        return ops.tril(factors, -1) + unit, ops.triu(factors, 1) + diagonal * unit, diagonal

    def _constants(self):
        return [self._order]

    def _structure_arguments(self):
        return {"seed": None}

    def _forward(self, x, condition=None, training=False):
        lower, upper, diagonal = self._lower_upper_and_diagonal()
        matrix = ops.take(precise_matmul(lower, upper), self._order.value, axis=0)
        z = precise_matmul(cut_far(x, 1e30), ops.transpose(matrix))
        if self.shift is not None:
            z = z + self.shift
        return z, repeat_log_det(ops.sum(ops.log(diagonal)), x)

    def _inverse(self, z, condition=None, training=False):
        lower, upper, diagonal = self._lower_upper_and_diagonal()
        matrix = lu_inverse(lower, upper, self._order.value)
        if self.shift is not None:
            z = z - self.shift
        x = precise_matmul(z, ops.transpose(matrix))
        return x, repeat_log_det(-ops.sum(ops.log(diagonal)), z)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed, "bias": self.bias}
