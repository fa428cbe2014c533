"""Draws that are used again, more often where their weights are large (Midgley et al. 2023)."""

import numpy as np


class ReplayBuffer:
    """The newest draws, with log-weights and the log-density of the flow that made the weights.

    Batches are drawn by weight, without repetition (https://arxiv.org/abs/2208.01893, section 3.2
    and algorithm 1).

    Args:
        capacity: draws that are kept; newer ones replace the oldest.
        seed: of the batches.
    """

    def __init__(self, capacity: int, seed: int | None = None):
        self.capacity = capacity
        self._generator = np.random.default_rng(seed)
        self._x = self._log_weights = self._log_prob = np.zeros(0)
        self._next = 0

    def __len__(self) -> int:
        return len(self._log_weights)

    def add(self, x: np.ndarray, log_weights: np.ndarray, log_prob: np.ndarray) -> None:
        """Add draws; those whose weight is not a number or 0 are left out."""
        is_usable = np.isfinite(log_weights) & np.isfinite(log_prob)
        new = [each[is_usable] for each in (x, log_weights, log_prob)]
        if not len(self):
            self._x, self._log_weights, self._log_prob = (each[:0].copy() for each in new)
        free = self.capacity - len(self)
        if free > 0:
            self._x, self._log_weights, self._log_prob = (
                np.concatenate([old, each[:free]])
                for old, each in zip(self._arrays(), new, strict=True)
            )
        rest = len(new[0]) - max(free, 0)
        if rest > 0:
            places = (self._next + np.arange(rest)) % self.capacity
            self._next = int(places[-1] + 1) % self.capacity
            for old, each in zip(self._arrays(), new, strict=True):
                old[places] = each[-rest:]

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places, x and log-densities of `count` draws."""
        noise = self._generator.gumbel(size=len(self))  # the largest sums are a draw by weight
        places = np.argpartition(-(self._log_weights + noise), count - 1)[:count]
        return places, self._x[places], self._log_prob[places]

    def update(self, places: np.ndarray, log_prob: np.ndarray, power: float) -> None:
        """Weigh draws by another flow: the target p^power q^(1 - power) changes with q.

        Args:
            places: from `draw`.
            log_prob: of the flow as it is now.
            power: of the target.
        """
        change = (1 - power) * (log_prob - self._log_prob[places])
        is_finite = np.isfinite(change)
        places = places[is_finite]
        self._log_weights[places] += change[is_finite]
        self._log_prob[places] = log_prob[is_finite]

    def _arrays(self):
        return self._x, self._log_weights, self._log_prob
