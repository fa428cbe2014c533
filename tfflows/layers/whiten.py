"""Whiten vectors by the covariance of a training set."""

import keras
import numpy as np
from keras import ops

from tfflows.backend.precision import precise_matmul
from tfflows.backend.tensor_ops import cut_far, identity, repeat_log_det
from tfflows.layers.data_dependent_layer import DataDependentLayer


@keras.saving.register_keras_serializable(package="tfflows")
class Whiten(DataDependentLayer):
    """Give vectors x `[batch, size]` mean zero and the identity for a covariance.

        x = mean + L (std z)                  log_det = -sum(log(std))

    `adapt` takes the mean and the covariance L diag(std)^2 L^T of data, L lower triangular with a
    unit diagonal: std_i is what the elements before x_i leave of its deviation (Kessy et al. 2018,
    "Cholesky whitening"). They are not trained. An element that those before it determine is
    shifted only.
    """

    needs_vectors = True

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                f"Whiten needs vectors, [batch, size]. Received: x of shape {tuple(x_shape)}"
            )
        (size,) = self.event_shape

        def add(name, shape, initializer):
            return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)

        self.mean = add("mean", (size,), "zeros")
        self.std = add("std", (size,), "ones")
        self.factors = add("factors", (size, size), "zeros")

    def _take_statistics(self, rows):
        mean = rows.mean(axis=0)
        covariance = np.atleast_2d(np.cov(rows, rowvar=False, bias=True))
        # What the data path cannot tell from a constant, or from what the others determine.
        eps = np.finfo(self.compute_dtype).eps
        resolution = np.maximum((2 * eps * mean) ** 2, eps * np.diag(covariance))
        lower, variance = np.eye(len(mean)), np.ones(len(mean))
        left = covariance.copy()
        for i in range(len(mean)):
            if left[i, i] <= resolution[i]:
                continue
            variance[i] = left[i, i]
            lower[i + 1 :, i] = left[i + 1 :, i] / left[i, i]
            left -= np.outer(left[:, i], left[i]) / left[i, i]
        self.mean.assign(mean)
        self.std.assign(np.sqrt(variance))
        self.factors.assign(np.tril(lower, -1))

    def _lower(self):
        factors = ops.convert_to_tensor(self.factors)
        return ops.tril(factors, -1) + identity(self.event_shape[0], factors.dtype)

    def _forward(self, x, condition=None, training=False):
        unit = identity(self.event_shape[0], x.dtype)
        inverse = ops.solve_triangular(self._lower(), unit, lower=True)
        z = precise_matmul(cut_far(x - self.mean, 1e30), ops.transpose(inverse)) / self.std
        return z, repeat_log_det(-ops.sum(ops.log(self.std)), x)

    def _inverse(self, z, condition=None, training=False):
        x = precise_matmul(z * self.std, ops.transpose(self._lower())) + self.mean
        return x, repeat_log_det(ops.sum(ops.log(self.std)), z)
