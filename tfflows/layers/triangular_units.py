"""Units whose weights are two triangular matrices: what a Sylvester flow is between its columns."""

import keras
import numpy as np
from keras import ops

from tfflows.backend.special import tanh
from tfflows.backend.tensor_ops import Tensor, identity
from tfflows.layers import tanh_unit

TOLERANCES = {"float64": 1e-12}  # of sweeps, by dtype; else
TOLERANCE = 1e-6


class TriangularUnits:
    """v -> v + R h, h = tanh(R' v + b), for vectors v `[batch, columns]`.

    R and R' are upper triangular, with diagonals whose products are above -1: each element of the
    result increases with the same element of v, and depends on those after it.

    Args:
        triangles: R above its diagonal, and below it R' transposed,
            `[batch or 1, columns, columns]`; the diagonal is not read.
        outer, inner: the diagonals of R and R', `[batch or 1, columns]`.
        offset: b, `[batch or 1, columns]`.
    """

    def __init__(self, triangles: Tensor, outer: Tensor, inner: Tensor, offset: Tensor):
        index = np.arange(triangles.shape[-1], dtype="int32")
        above = ops.cast(ops.less(index[:, None], index), triangles.dtype)
        self._above = triangles * above
        self._below = triangles * ops.transpose(above)
        self._outer, self._inner, self._offset = outer, inner, offset
        self._parts = (triangles, outer, inner, offset)

    def activations(self, v: Tensor) -> Tensor:
        """h, `[batch, columns]`."""
        return tanh(self._inner * v + self._from_others(v))

    def move(self, h: Tensor) -> Tensor:
        """R h, `[batch, columns]`."""
        return self._outer * h + multiply(h, self._above, transpose=True)

    def log_det(self, h: Tensor) -> Tensor:
        """log|det| of the map, `[batch]`, at activations h."""
        return ops.sum(ops.log(tanh_unit.slope(self._outer * self._inner, h)), axis=1)

    def inverse(self, target: Tensor) -> Tensor:
        """v from v + R h, by sweeps that solve for each element given the others of the last.

        After k sweeps the last k elements are exact. The gradient is that of the implicit function.
        """
        v = TriangularUnits(*map(ops.stop_gradient, self._parts))._sweep(ops.stop_gradient(target))
        h = self.activations(v)
        residual = v + self.move(h) - target
        jacobian = ops.stop_gradient(self._jacobian(h))
        return v - ops.solve_triangular(jacobian, residual[..., None])[..., 0]

    def _from_others(self, v):
        return multiply(v, self._below) + self._offset

    def _sweep(self, target):
        dtype = keras.backend.standardize_dtype(target.dtype)
        tolerance = TOLERANCES.get(dtype, TOLERANCE)
        columns = target.shape[-1]

        def unfinished(count, change, v):
            moves = ops.any(change > tolerance * ops.maximum(ops.abs(v), 1.0))
            return ops.logical_and(count < columns, moves)

        def sweep(count, change, v):
            rest = target - multiply(self.activations(v), self._above, transpose=True)
            new = tanh_unit.root(rest, self._outer, self._inner, self._from_others(v))
            return count + 1, ops.abs(new - v), new

        return ops.while_loop(unfinished, sweep, (0, ops.full_like(target, np.inf), target))[2]

    def _jacobian(self, h):
        """`[batch, columns, columns]`, upper triangular."""
        unit = identity(h.shape[-1], h.dtype)
        outer = self._above + self._outer[..., None] * unit
        inner = ops.swapaxes(self._below, 1, 2) + self._inner[..., None] * unit
        return unit + ops.matmul(outer * (1 - h * h)[:, None], inner)


def multiply(vectors: Tensor, matrix: Tensor, transpose: bool = False) -> Tensor:
    """vectors `[batch, n]` times one matrix per row, or one for all, `[batch or 1, n, m]`.

    Args:
        vectors: the rows.
        matrix: the matrices.
        transpose: whether to multiply by their transposes, `[batch or 1, m, n]` then.
    """
    if matrix.shape[0] == 1:
        return ops.matmul(vectors, ops.transpose(matrix[0]) if transpose else matrix[0])
    if transpose:
        return ops.matmul(matrix, vectors[..., None])[..., 0]
    return ops.matmul(vectors[:, None], matrix)[:, 0]
