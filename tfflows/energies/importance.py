"""Importance sampling: draws of a flow, with weights that correct them (Müller et al. 2019)."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.training.density_values import log_density_of
from tfflows.utils.checks import check_positive

if TYPE_CHECKING:
    from tfflows.flow import Flow


@dataclasses.dataclass(frozen=True, eq=False)
class WeightedDraws:
    """Draws x of a flow q with log-weights log p(x) - log q(x), p known up to a constant.

    Attributes:
        x: draws `[n, *event]`, numpy.
        log_weights: `[n]`, float64.
    """

    x: np.ndarray
    log_weights: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Weights `[n]` that add up to 1."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        return weights / weights.sum()

    @property
    def ess(self) -> float:
        """The effective sample size as a share of the draws, in (0, 1] (Kong 1992).

        It is high, too, where all draws miss a mode of the density.
        """
        return float(1 / np.sum(np.square(self.weights)) / len(self.weights))

    @property
    def log_z(self) -> float:
        """Estimate of log Z, the integral of the density; Z itself is estimated without bias."""
        return float(np.logaddexp.reduce(self.log_weights) - np.log(len(self.log_weights)))

    @property
    def log_z_error(self) -> float:
        """Standard error of `log_z`: the relative one of the mean weight."""
        count = len(self.log_weights)
        return float(np.sqrt(max(0.0, 1 / self.ess - 1) / max(1, count - 1)))

    @property
    def kl_divergence(self) -> float:
        """Estimate of KL(q || p) = log Z - mean(log_weights), of draws that reach all of p."""
        return self.log_z - float(self.log_weights.mean())

    def mean(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean of `values` `[n, ...]` under p, and its standard error.

        The mean of weighted values has a bias of order 1 / n; the error is that of the linearised
        ratio.
        """
        values = np.asarray(values, "float64")
        weights = self.weights.reshape(-1, *(1 for _ in values.shape[1:]))
        mean = np.sum(weights * values, axis=0)
        return mean, np.sqrt(np.sum(np.square(weights * (values - mean)), axis=0))

    def resample(self, count: int, seed: int | None = None) -> np.ndarray:
        """`count` of the draws, each drawn by its weight: close to p where `ess * n` >> count."""
        generator = np.random.default_rng(seed)
        return self.x[generator.choice(len(self.x), count, p=self.weights)]


def importance(
    flow: "Flow",
    target: Callable,
    num_samples: int,
    condition: Tensor | None = None,
    seed: rng.Seed = None,
    batch_size: int | None = None,
) -> WeightedDraws:
    """Draw from a flow, and weigh the draws by a density.

    Example:
        draws = tfflows.energies.importance(flow, target, 10_000, seed=0)
        print(draws.ess, draws.log_z, draws.log_z_error)
        mean, error = draws.mean(draws.x[:, 0])

    Args:
        flow: any flow of real data.
        target: x `[n, *event_shape]` -> log-densities `[n]`, up to a constant, which may be -inf.
        num_samples: number of draws.
        condition, seed, batch_size: those of `Flow.sample`.

    Raises:
        ValueError: the density gives another shape, NaN or +inf, or -inf at every draw.
    """
    check_positive(num_samples=int(num_samples))
    x, log_prob = flow.sample_and_log_prob(num_samples, condition, seed, batch_size=batch_size)
    log_weights = log_density_of(target, x, batch_size) - ops.convert_to_numpy(log_prob)
    if not np.isfinite(log_weights).any():
        raise ValueError(
            f"Expected mass at some of the {num_samples} draws. Received: log-density -inf at all "
            "of them. The flow draws outside of the density's support: end the flow with a layer "
            "onto it, such as layers.Logit for a box, or write the support as a steep slope"
        )
    return WeightedDraws(ops.convert_to_numpy(x), log_weights)
