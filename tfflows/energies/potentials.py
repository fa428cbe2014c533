"""The four potentials in two dimensions of Rezende and Mohamed 2015, table 1.

https://arxiv.org/abs/1505.05770
"""

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.energies.target import Target

LOG_Z = {"U1": 1.8775, "U2": 2.0821, "U3": 2.6417, "U4": 2.7107}  # by quadrature
WALL = 100.0  # slope of the walls, in nats per unit: they add two hundredths of 8 to 8 units


class Potential(Target):
    """log-density -U(x) of x `[batch, 2]`.

    | name | what it is |
    |---|---|
    | U1 | two half moons on a ring |
    | U2 | a wave |
    | U3 | two waves that part around x1 = 1 |
    | U4 | two waves that part at x1 = 1 |

    The waves do not end, and have no integral: on U2 to U4 x1 is kept in [-4, 4] by walls.

    Args:
        name: "U1" to "U4".
    """

    event_shape = (2,)

    def __init__(self, name: str):
        if name not in LOG_Z:
            raise ValueError(f"name must be one of {list(LOG_Z)}. Received: {name!r}")
        self.name = name
        self.log_z = LOG_Z[name]
        self._energy = {"U1": _moons, "U2": _wave, "U3": _two_waves, "U4": _two_steep_waves}[name]

    def __call__(self, x: Tensor) -> Tensor:
        wall = 0.0 if self.name == "U1" else WALL * ops.relu(ops.abs(x[:, 0]) - 4)
        return -self._energy(x) - wall

    def sample(self, count, seed=None):
        """By rejection in a box around the density."""
        rng = np.random.default_rng(seed)
        low, high = np.asarray([-4.2, -8.0]), np.asarray([4.2, 5.0])
        grid = np.stack(np.meshgrid(*(np.linspace(low[i], high[i], 400) for i in (0, 1))), -1)
        grid = grid.reshape(-1, 2).astype("float32")
        highest = ops.convert_to_numpy(self(grid)).max() + 0.05
        drawn, missing = [], count
        while missing > 0:
            x = rng.uniform(low, high, (40 * count, 2)).astype("float32")
            log_density = ops.convert_to_numpy(self(x))
            drawn.append(x[np.log(rng.uniform(size=len(x))) < log_density - highest][:missing])
            missing -= len(drawn[-1])
        return np.concatenate(drawn)


def _normal(distance, spread):
    return -0.5 * ops.square(distance / spread)


def _moons(x):
    radius = ops.sqrt(ops.sum(ops.square(x), axis=-1) + 1e-12)
    left, right = (_normal(x[:, 0] + side * 2, 0.6) for side in (1, -1))
    return -_normal(radius - 2, 0.4) - ops.logaddexp(left, right)


def _sine(x):
    return ops.sin(0.5 * np.pi * x[:, 0])


def _wave(x):
    return -_normal(x[:, 1] - _sine(x), 0.4)


def _two_waves(x):
    step = 3 * ops.exp(_normal(x[:, 0] - 1, 0.6))
    return -ops.logaddexp(
        _normal(x[:, 1] - _sine(x), 0.35), _normal(x[:, 1] - _sine(x) + step, 0.35)
    )


def _two_steep_waves(x):
    step = 3 * ops.sigmoid((x[:, 0] - 1) / 0.3)
    return -ops.logaddexp(
        _normal(x[:, 1] - _sine(x), 0.4), _normal(x[:, 1] - _sine(x) + step, 0.35)
    )
