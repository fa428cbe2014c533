"""Orthogonal matrices from free parameters: by reflections, and by Newton's iteration."""

import math

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor, identity

TINY = 1e-20  # of |v|^2
MIN_RATIO = 1e-3  # of the singular values that the iteration is sure to make equal
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
        largest.
    """
    # The largest sum of a row bounds the largest eigenvalue.
    bound = ops.max(ops.sum(ops.abs(_gram(matrix)), axis=-1), axis=-1)[:, None, None]
    matrix = matrix / ops.sqrt(ops.maximum(bound, TINY))
    for scale in _scales():
        matrix = scale * (1.5 * matrix - 0.5 * scale**2 * ops.matmul(matrix, _gram(matrix)))
    error = ops.abs(_gram(matrix) - identity(matrix.shape[-1], matrix.dtype))
    epsilon = float(np.finfo(keras.backend.standardize_dtype(matrix.dtype)).eps)
    return matrix, ops.cast(ops.all(error <= 200 * epsilon, axis=(1, 2)), matrix.dtype)


def _gram(matrix):
    return ops.matmul(ops.swapaxes(matrix, 1, 2), matrix)


def _scales():
    """Of the steps that bring singular values from MIN_RATIO..1 to 1, to float64's precision."""
    low, scales = MIN_RATIO, []
    while 1 - low > 1e-9:
        scale = min(math.sqrt(3 / (1 + low + low * low)), MAX_SCALE)
        scales.append(scale)
        low = min(1.5 * s - 0.5 * s**3 for s in (scale * low, scale))
    return scales
