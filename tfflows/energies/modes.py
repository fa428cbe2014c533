"""Densities of many modes: a mixture of 40 normals, and wells (Midgley et al. 2023, section 4).

"Flow annealed importance sampling bootstrap", https://arxiv.org/abs/2208.01893.
"""

import math

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.energies.target import Target


class NormalMixture(Target):
    """A mixture of equal weights of normals at random places of a square, normalised.

        p(x) = mean over k of N(x; means_k, scale^2),  means_k uniform in [-reach, reach]^2

    Args:
        num_modes: normals.
        reach: half of the square's side.
        scale: standard deviation; None is that of the paper, softplus(1) = 1.313.
        seed: of the means.

    Attributes:
        means: `[num_modes, 2]`.
    """

    event_shape = (2,)
    log_z = 0.0

    def __init__(
        self, num_modes: int = 40, reach: float = 40.0, scale: float | None = None, seed: int = 0
    ):
        self.scale = math.log1p(math.e) if scale is None else scale
        generator = np.random.default_rng(seed)
        self.means = generator.uniform(-reach, reach, (num_modes, 2)).astype("float32")

    def __call__(self, x: Tensor) -> Tensor:
        squares = ops.sum(ops.square((x[:, None] - self.means) / self.scale), axis=-1)
        norm = math.log(len(self.means) * 2 * math.pi * self.scale**2)
        return ops.logsumexp(-0.5 * squares, axis=-1) - norm

    def sample(self, count, seed=None):
        generator = np.random.default_rng(seed)
        means = self.means[generator.integers(len(self.means), size=count)]
        return (means + self.scale * generator.standard_normal((count, 2))).astype("float32")

    def nearest_mode(self, x: np.ndarray) -> np.ndarray:
        """The number of the nearest mean, `[n]`, of x `[n, 2]`."""
        distances = np.sum(np.square(np.asarray(x)[:, None] - self.means), axis=-1)
        return np.argmin(distances, axis=1)


class ManyWell(Target):
    """Double wells side by side: independent pairs (u, v), each with the log-density

        -u^4 + 6 u^2 + u / 2 - v^2 / 2

    so that u has two modes, near -1.7 and 1.8, of unequal mass, and all 2^(dims / 2) combinations
    are modes. It factorises: `log_z`, exact draws and the mass of each well are known.

    Args:
        dims: elements of x, u and v in turn; even. 2 is the double well, 32 has 65,536 modes.
    """

    def __init__(self, dims: int = 32):
        if dims < 2 or dims % 2:
            raise ValueError(f"dims must be even and at least 2. Received: {dims!r}")
        self.event_shape = (dims,)
        self._grid = np.linspace(-4, 4, 80_001)
        self._density = np.exp(-(self._grid**4) + 6 * self._grid**2 + self._grid / 2)
        step = self._grid[1] - self._grid[0]
        area = self._density.sum() * step  # the density is 0 at the ends: exact to rounding
        self.log_z = dims / 2 * (math.log(area) + 0.5 * math.log(2 * math.pi))
        self.right_mass = float(self._density[self._grid > 0].sum() * step / area)

    def __call__(self, x: Tensor) -> Tensor:
        u, v = x[:, ::2], x[:, 1::2]
        square = ops.square(u)
        return ops.sum(-ops.square(square) + 6 * square + 0.5 * u - 0.5 * ops.square(v), axis=-1)

    def sample(self, count, seed=None):
        generator = np.random.default_rng(seed)
        dims = self.event_shape[0]
        total = np.cumsum(self._density)
        uniform = generator.uniform(size=(count, dims // 2)) * total[-1]
        x = generator.standard_normal((count, dims))
        x[:, ::2] = np.interp(uniform, total, self._grid)
        return x.astype("float32")
