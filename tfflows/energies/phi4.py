"""Scalar phi^4 theory on a periodic square lattice (Albergo et al. 2019).

"Flow-based generative models for Markov chain Monte Carlo in lattice field theory",
https://arxiv.org/abs/1904.12072, section IV.
"""

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor, sum_event
from tfflows.energies.target import Target

# The couplings of the paper's table I, by the length of the lattice; mass2 = -4 for all.
COUPLINGS = {6: 6.975, 8: 6.008, 10: 5.550, 12: 5.276, 14: 5.113}


class Phi4(Target):
    """log-density -S(phi) of fields phi `[batch, L, L, 1]`, up to a constant.

        S(phi) = sum over sites of phi (-Laplacian phi) + mass2 phi^2 + coupling phi^4
        -Laplacian phi = 4 phi - the sum of its 4 neighbours, periodic

    Args:
        length: L, at least 3.
        mass2: the bare mass squared; below 0 the theory has two phases.
        coupling: of phi^4, positive; None takes that of the paper for this length, where the
            correlation length is about a quarter of the lattice's.

    Example:
        target = tfflows.energies.Phi4(8)
        flow.fit_to_density(target, objective="path_gradient")
    """

    def __init__(self, length: int, mass2: float = -4.0, coupling: float | None = None):
        if not isinstance(length, int) or length < 3:
            raise ValueError(f"length must be an integer of at least 3. Received: {length!r}")
        if coupling is None:
            if length not in COUPLINGS:
                raise ValueError(
                    f"There is a published coupling for the lengths {list(COUPLINGS)}: give "
                    f"`coupling` for others. Received: length={length}"
                )
            coupling = COUPLINGS[length]
        if not coupling > 0:
            raise ValueError(f"coupling must be positive. Received: {coupling!r}")
        self.length, self.mass2, self.coupling = length, mass2, coupling
        self.event_shape = (length, length, 1)

    def __call__(self, phi: Tensor) -> Tensor:
        """-S(phi), `[batch]`."""
        square = ops.square(phi)
        steps = [phi - ops.roll(phi, 1, axis=axis) for axis in (1, 2)]
        gradient = sum(ops.square(step) for step in steps)  # sums to phi (-Laplacian phi)
        return -sum_event(gradient + self.mass2 * square + self.coupling * ops.square(square))

    @staticmethod
    def observables(phi: np.ndarray) -> dict[str, np.ndarray]:
        """Of each field, whose means over fields are the theory's, where `<phi>` is 0:

            two_point[d]     correlation of the means over rows, d rows apart, `[n, L]`:
                             G(d) = mean over y of m(y) m(y + d), m(y) = mean over x of phi(x, y)
            susceptibility   sum over sites of the correlation G = L^2 mean(phi)^2, `[n]`
            ising_energy     correlation of neighbours, a mean over both directions, `[n]`
            magnetization    mean(phi), `[n]`

        Args:
            phi: fields `[n, L, L, 1]`.
        """
        phi = np.asarray(phi, "float64")[..., 0]
        length = phi.shape[1]
        neighbours = [np.mean(phi * np.roll(phi, 1, axis=axis), axis=(1, 2)) for axis in (1, 2)]
        magnetization = phi.mean(axis=(1, 2))
        # Rows and columns are the same by symmetry: both count.
        profiles = [phi.mean(axis=axis) for axis in (1, 2)]
        two_point = [
            np.mean([np.mean(m * np.roll(m, d, axis=1), axis=1) for m in profiles], axis=0)
            for d in range(length)
        ]
        return {
            "two_point": np.stack(two_point, axis=1),
            "susceptibility": length**2 * np.square(magnetization),
            "ising_energy": np.mean(neighbours, axis=0),
            "magnetization": magnetization,
        }
