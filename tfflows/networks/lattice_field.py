"""The field of a continuous flow over lattices, with the lattice's symmetries (Gerdes et al. 2022).

"Learning lattice quantum field theories with equivariant continuous flows",
https://arxiv.org/abs/2207.00283, section 3.
"""

import math

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor, cut_far


@keras.saving.register_keras_serializable(package="tfflows")
class LatticeField(keras.layers.Layer):
    """dphi/dt at each site of a periodic lattice, for phi `[batch, L, L, 1]`.

        dphi_x/dt = sum over y, d, f of K[d, f, |x - y|] cos(pi d t) wave_f(phi_y)
        wave_0(phi) = phi,  wave_f(phi) = sin(frequency_f phi) / frequency_f

    The field is odd in phi and commutes with the shifts, turns and reflections of the lattice: a
    flow of it from normal latents has a density with these symmetries. K has one weight for all
    displacements that turns and reflections map on each other, a mean over them, and reaches over
    the whole lattice. It is zero at first, and the flow the identity.

    The divergence is a sum over the sites of derivatives of the waves, exact at no cost:
    `ContinuousFlow` takes it instead of a trace by products with the Jacobian.

    Args:
        num_waves: sines.
        num_times: cosines of the time, the constant among them.
        max_frequency: frequencies begin equally spaced up to it, and are trained.

    Example:
        field = tfflows.networks.LatticeField()
        solver = tfflows.ode.FixedStep("rk4", num_steps=8)
        layer = tfflows.layers.ContinuousFlow(field, solver, test_solver=solver)
        flow = tfflows.Flow(layer, event_shape=(6, 6, 1))
    """

    def __init__(
        self, num_waves: int = 12, num_times: int = 5, max_frequency: float = 6.0, **kwargs
    ):
        super().__init__(**kwargs)
        if num_waves < 0 or num_times < 1 or not max_frequency > 0:
            raise ValueError(
                "num_waves must be at least 0, num_times at least 1, max_frequency positive. "
                f"Received: num_waves={num_waves}, num_times={num_times}, "
                f"max_frequency={max_frequency}"
            )
        self.num_waves, self.num_times, self.max_frequency = num_waves, num_times, max_frequency

    def build(self, x_shape, condition_shape=None):
        if len(x_shape) != 4 or x_shape[1] != x_shape[2] or x_shape[3] != 1:
            raise ValueError(
                f"LatticeField expects phi of shape (batch, L, L, 1). Received: {tuple(x_shape)}"
            )
        if condition_shape is not None:
            raise ValueError(
                f"LatticeField takes no condition. Received: one of shape {tuple(condition_shape)}"
            )
        self._orbits = displacement_orbits(x_shape[1])
        self.members = np.bincount(self._orbits[0]).astype("float32")  # of each orbit
        shape = (self.num_times, 1 + self.num_waves, len(self.members))
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="zeros")
        self.frequencies = self.add_weight(
            name="frequencies", shape=(self.num_waves,), initializer=self._equally_spaced
        )

    def _equally_spaced(self, shape, dtype=None):
        steps = np.arange(1, self.num_waves + 1) / max(1, self.num_waves)
        return ops.convert_to_tensor(self.max_frequency * steps, dtype)

    def call(self, x, time, condition=None):
        return self.field_and_divergence(x, time)[0]

    def field_and_divergence(
        self, x: Tensor, time: Tensor, condition: None = None
    ) -> tuple[Tensor, Tensor]:
        """dphi/dt of x's shape, and its divergence `[batch]`; `time` is a scalar or `[batch]`."""
        sites = math.prod(x.shape[1:])
        phi = ops.reshape(cut_far(x), (-1, 1, sites))
        frequencies = self.frequencies[:, None]
        angle = phi * frequencies
        waves = ops.concatenate([phi, ops.sin(angle) / frequencies], axis=1)
        slopes = ops.concatenate([ops.ones_like(phi), ops.cos(angle)], axis=1)
        slopes = ops.sum(slopes, axis=-1)  # [batch, waves]
        cosines = self._cosines(time)  # [times] or [batch, times]
        kernel = self.kernel / self.members
        if len(cosines.shape) == 1:
            kernel = ops.tensordot(cosines, kernel, axes=1)  # [waves, orbits]
            matrix = ops.reshape(ops.take(kernel, self._orbits, axis=1), (-1, sites))
            field = ops.matmul(ops.reshape(waves, (-1, matrix.shape[0])), matrix)
            return ops.reshape(field, ops.shape(x)), ops.matmul(slopes, kernel[:, 0])
        matrix = ops.take(kernel, self._orbits, axis=2)  # [times, waves, sites, sites]
        matrix = ops.reshape(ops.transpose(matrix, (1, 2, 0, 3)), (-1, self.num_times * sites))
        parts = ops.matmul(ops.reshape(waves, (-1, matrix.shape[0])), matrix)
        parts = ops.reshape(parts, (-1, self.num_times, sites))
        field = ops.sum(parts * cosines[:, :, None], axis=1)
        divergences = ops.matmul(slopes, ops.transpose(kernel[:, :, 0]))
        return ops.reshape(field, ops.shape(x)), ops.sum(divergences * cosines, axis=1)

    def _cosines(self, time):
        time = ops.convert_to_tensor(time, self.compute_dtype)
        return ops.cos(
            time[..., None] * ops.cast(np.pi * np.arange(self.num_times), self.compute_dtype)
        )

    def compute_output_shape(self, x_shape):
        return tuple(x_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "num_waves": self.num_waves,
            "num_times": self.num_times,
            "max_frequency": self.max_frequency,
        }


def displacement_orbits(length: int) -> np.ndarray:
    """For each pair of sites the number of its displacement, up to turns and reflections.

    Returns:
        int32 `[L * L, L * L]`; 0 on the diagonal, others by the distances along the two axes.
    """
    steps = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    steps = np.minimum(steps, length - steps)  # periodic
    rows, columns = steps[:, None, :, None], steps[None, :, None, :]
    long, short = np.maximum(rows, columns), np.minimum(rows, columns)
    orbits = long * (long + 1) // 2 + short
    return np.broadcast_to(orbits, (length,) * 4).reshape(length**2, -1).astype("int32")
