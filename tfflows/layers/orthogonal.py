"""Orthogonal matrices from free parameters: by reflections, and by Newton's iteration."""

import math

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor, identity

TINY = 1e-20  # of |v|^2
# Of singular values that the iteration makes equal: random columns are far from these ratios.
MIN_RATIO_OF_TALL = 1e-3  # twice as many rows as columns
MIN_RATIO = 1e-5
MAX_SCALE = 1.7  # where a singular value of 1 becomes 0.1, and rounding ten times as large


def reflect(x: Tensor, normals: Tensor, reverse: bool = False) -> Tensor:
    """x `[batch, size]` after Householder reflections, x - 2 v v.x / |v|^2 for one.

    Args:
        x: vectors.
        normals: the v, `[batch or 1, reflections, size]`; where one is zero, x stays.
        reverse: whether the last comes first, which undoes them.
    """
    squares = ops.sum(normals * normals, axis=-1, keepdims=True)
    units = normals / ops.sqrt(ops.maximum(squares, TINY))
    order = range(normals.shape[1])
    for i in reversed(order) if reverse else order:
        unit = units[:, i]
        x = x - 2 * ops.sum(unit * x, axis=-1, keepdims=True) * unit
    return x


def orthonormal_columns(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The orthonormal columns that are nearest to those of matrices `[batch, size, columns]`.

    Newton's iteration without inverses (Bjorck and Bowie 1971), A <- A (3 I - A^T A) / 2, each step
    after scaling (Chen and Chow 2014), which halves the number of steps.

    Returns:
        Matrices of the same shape, and 1 or 0 for each, `[batch]`: whether its columns came to be
        orthonormal. They do unless the smallest singular value of the matrix is below 1e-3 of the
        largest, or 1e-5 where there are more columns than half of `size`.
    """
    epsilon = float(np.finfo(keras.backend.standardize_dtype(matrix.dtype)).eps)
    # The norm of the squares bounds the largest singular value's more closely than that of matrix.
    squares = ops.sqrt(ops.sum(ops.square(_gram(matrix)), axis=(1, 2), keepdims=True))
    matrix = matrix / ops.sqrt(ops.maximum(squares, TINY))
    size, columns = matrix.shape[1:]
    if 2 * columns <= size:
        matrix = _iterate_on_squares(matrix, _scales(MIN_RATIO_OF_TALL, epsilon))
    else:
        for scale in _scales(MIN_RATIO, epsilon):
            matrix = _step(matrix, scale)
    error = ops.abs(_gram(matrix) - identity(matrix.shape[-1], matrix.dtype))
    return matrix, ops.cast(ops.all(error <= 200 * epsilon, axis=(1, 2)), matrix.dtype)


def _step(matrix, scale=1.0):
    return 1.5 * scale * matrix - 0.5 * scale**3 * ops.matmul(matrix, _gram(matrix))


def _iterate_on_squares(matrix, scales):
    """The same steps on A^T A alone, which is small; two on A itself take off their rounding."""
    gram = _gram(matrix)
    unit = identity(gram.shape[-1], gram.dtype)
    product = unit[None]
    for scale in scales:
        step = 1.5 * scale * unit - 0.5 * scale**3 * gram
        product = ops.matmul(product, step)
        gram = ops.matmul(ops.matmul(step, gram), step)
    return _step(_step(ops.matmul(matrix, product)))


def _gram(matrix):
    return ops.matmul(ops.swapaxes(matrix, 1, 2), matrix)


def _scales(low, epsilon):
    """Of the steps that bring singular values from low..1 to 1, up to epsilon."""
    scales = []
    while 1 - low > epsilon:
        scale = min(math.sqrt(3 / (1 + low + low * low)), MAX_SCALE)
        scales.append(scale)
        low = min(1.5 * s - 0.5 * s**3 for s in (scale * low, scale))
    return scales
