"""Markov chains: what they drew, and how long they remember."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """States of Markov chains.

    Attributes:
        x: states in order, `[n, *event]` of one chain or `[n, chains, *event]`.
        accepted: whether each step moved, `[n]` or `[n, chains]`.
    """

    x: np.ndarray
    accepted: np.ndarray

    @property
    def acceptance(self) -> float:
        """Share of the proposals that were accepted."""
        return float(np.mean(self.accepted))

    def mean(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """The mean of an observable, its standard error, and its autocorrelation time.

        Args:
            values: of the states, `[n]` or `[n, chains]`, or with one axis more at the end.
        """
        values = np.asarray(values, "float64")
        if values.ndim > self.accepted.ndim:
            parts = [self.mean(values[..., i]) for i in range(values.shape[-1])]
            means, errors, times = zip(*parts, strict=True)
            return np.stack(means), np.stack(errors), max(times)
        time = autocorrelation_time(values)
        return values.mean(), values.std() * np.sqrt(2 * time / values.size), time


def autocorrelation_time(values: np.ndarray) -> float:
    """Integrated autocorrelation time, 1/2 + sum of the autocorrelations: 0.5 for independent ones.

    The sum ends at the first window of five times its value (Sokal 1997, "Monte Carlo methods in
    statistical mechanics", section 3). The mean of n values then has the variance var 2 tau / n.
    Chains that alternate count as independent, because so short a window tells too little of them.

    Args:
        values: an observable along the chain, `[n]`, or of several chains, `[n, chains]`, whose
            mean over all is subtracted.

    Raises:
        ValueError: there are fewer than 8 values in a chain.
    """
    values = np.asarray(values, "float64")
    values = values.reshape(len(values), -1)
    count = len(values)
    if count < 8:
        raise ValueError(f"Expected a chain of at least 8 values. Received: {count}")
    values = values - values.mean()
    size = 2 ** int(np.ceil(np.log2(2 * count)))  # with zeros, so that the ends do not meet
    power = np.square(np.abs(np.fft.rfft(values, size, axis=0)))
    covariance = np.fft.irfft(power, size, axis=0)[:count].mean(axis=1)
    covariance /= count - np.arange(count)
    if covariance[0] <= 0:
        return float("inf")  # a chain that never moved
    times = np.cumsum(covariance / covariance[0]) - 0.5
    windows = np.flatnonzero(np.arange(count) >= 5 * times)
    return max(0.5, float(times[windows[0] if len(windows) else -1]))
