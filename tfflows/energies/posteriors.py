"""Densities with a hard geometry, as posteriors have: Neal's funnel and the eight schools."""

import math

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.energies.target import Target


class Funnel(Target):
    """Neal's funnel (Neal 2003, "Slice sampling", section 8), normalised.

        v ~ N(0, 3^2),  x_i ~ N(0, exp(v)) given v;  the event is (v, x_1, ..., x_{dims - 1})

    Args:
        dims: elements, at least 2.
        scale: standard deviation of v.
    """

    log_z = 0.0

    def __init__(self, dims: int = 10, scale: float = 3.0):
        if dims < 2:
            raise ValueError(f"dims must be at least 2. Received: {dims!r}")
        self.event_shape, self.scale = (dims,), scale

    def __call__(self, x: Tensor) -> Tensor:
        v, rest = x[:, 0], x[:, 1:]
        count = self.event_shape[0]
        squares = ops.square(v / self.scale) + ops.sum(ops.square(rest), axis=-1) * ops.exp(-v)
        norm = count * math.log(2 * math.pi) + 2 * math.log(self.scale)
        return -0.5 * (squares + (count - 1) * v + norm)

    def sample(self, count, seed=None):
        generator = np.random.default_rng(seed)
        x = generator.standard_normal((count, *self.event_shape))
        x[:, 0] *= self.scale
        x[:, 1:] *= np.exp(x[:, :1] / 2)
        return x.astype("float32")


class EightSchools(Target):
    """Effects of coaching in eight schools (Rubin 1981; Gelman et al., "Bayesian data analysis").

        mu ~ N(0, 5^2),  tau ~ half-Cauchy(5),  theta_j ~ N(mu, tau^2),  y_j ~ N(theta_j, sigma_j^2)

    The event is (mu, log tau, then theta_j, or (theta_j - mu) / tau where not `centered`), and the
    density is that of the event: the Jacobian is in it.

    Args:
        centered: whether the event has the theta themselves, which makes a funnel.
    """

    effects = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)  # y
    errors = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)  # sigma
    event_shape = (10,)

    def __init__(self, centered: bool = False):
        self.centered = centered

    def __call__(self, x: Tensor) -> Tensor:
        mu, log_tau, rest = x[:, 0], x[:, 1], x[:, 2:]
        tau = ops.exp(log_tau)
        theta = self.schools(x)
        y, sigma = (np.asarray(each, "float32") for each in (self.effects, self.errors))
        prior = -0.5 * ops.square(mu / 5) - ops.log1p(ops.square(tau / 5)) + log_tau
        if self.centered:
            offsets = (rest - mu[:, None]) / tau[:, None]
            prior = prior - 8 * log_tau
        else:
            offsets = rest
        prior = prior - 0.5 * ops.sum(ops.square(offsets), axis=-1)
        return prior - 0.5 * ops.sum(ops.square((y - theta) / sigma), axis=-1)

    def schools(self, x: Tensor) -> Tensor:
        """theta `[batch, 8]` of events x `[batch, 10]`."""
        if self.centered:
            return x[:, 2:]
        return x[:, :1] + ops.exp(x[:, 1:2]) * x[:, 2:]
