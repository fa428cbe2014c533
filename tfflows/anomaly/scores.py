"""Anomaly scores over a fitted flow: larger for rows that are more abnormal.

A likelihood by itself is no safe score: a flow that was trained on complex data gives simpler
foreign data a higher likelihood (Nalisnick et al. 2019, https://arxiv.org/abs/1810.09136).
"""

import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.autodiff import value_and_pullback
from tfflows.backend.tensor_ops import sum_event
from tfflows.flow import Flow

BATCH_SIZE = 1024
COMPRESSORS = {"zlib": zlib.compress, "bz2": bz2.compress, "lzma": lzma.compress}


class Score:
    """A number for each row, larger where it is more abnormal.

    A subclass writes `raw`, and `fit` where it takes statistics of normal rows.

    Args:
        flow: a fitted flow or VAE; where it draws noise, a row's follows from the row.
    """

    def __init__(self, flow: Flow):
        self.flow = flow

    def fit(self, x: np.ndarray) -> "Score":
        """Take what the score needs of normal rows `[n, *event]`; returns itself."""
        return self

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Scores `[n]` of rows `[n, *event]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `raw`.")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Scores float64 `[n]` of rows `[n, *event]`."""
        return np.asarray(self.raw(np.asarray(x)), "float64")

    def _log_prob(self, x):
        values = self.flow.log_prob(x, num_draws=1, batch_size=BATCH_SIZE)
        return ops.convert_to_numpy(values).astype("float64")


class NegativeLogLikelihood(Score):
    """-log p(x) in nats (Bishop 1994)."""

    def raw(self, x):
        return -self._log_prob(x)


class Typicality(Score):
    """How far -log p(x) is from its mean over normal rows, either way.

    |-log p(x) - entropy| (Nalisnick et al. 2019, https://arxiv.org/abs/1906.02994, equation 3): a
    row that is far too likely is abnormal as well. `of_batch` tests rows together, which sees far
    smaller shifts.
    """

    def fit(self, x):
        self.entropy = float(-self._log_prob(x).mean())
        return self

    def raw(self, x):
        return np.abs(-self._log_prob(x) - self.entropy)

    def of_batch(self, x: np.ndarray) -> float:
        """One score of all rows together, which should be all normal or all abnormal."""
        return float(abs(-self._log_prob(np.asarray(x)).mean() - self.entropy))


class LatentNorm(Score):
    """How far the norm of z is from that of normal rows, either way.

    |norm(z) - mean norm|: in many dimensions a standard normal lies on a shell of radius
    sqrt(dims), and its most likely point, the centre, is as abnormal as one far out.
    """

    def fit(self, x):
        self.mean = float(self._norm(x).mean())
        return self

    def raw(self, x):
        return np.abs(self._norm(x) - self.mean)

    def _norm(self, x):
        z = ops.convert_to_numpy(self.flow.encode(x, batch_size=BATCH_SIZE)).astype("float64")
        return np.linalg.norm(z.reshape(len(z), -1), axis=1)


class ScoreNorm(Score):
    """The norm of the gradient of log p in x: small near modes, whatever the likelihood there.

    Rows are compared in deviations of the normal ones, so that units do not matter.
    """

    def fit(self, x):
        flat = np.asarray(x, "float64").reshape(len(x), -1)
        self.scale = np.maximum(flat.std(axis=0), 1e-12).reshape(self.flow.event_shape)

        def gradient(x):
            (log_prob,), pullback = value_and_pullback(lambda x: (self.flow.log_density(x),), [x])
            (slope,) = pullback(ops.ones_like(log_prob))
            scaled = slope * ops.cast(self.scale, slope.dtype)
            return ops.sqrt(sum_event(ops.square(scaled)))

        self._gradient = compilation.compile_method(self.flow, gradient, jit=False)
        return self

    def raw(self, x):
        starts = range(0, max(len(x), 1), BATCH_SIZE)
        parts = [np.asarray(x[i : i + BATCH_SIZE], self.flow.compute_dtype) for i in starts]
        return np.concatenate([ops.convert_to_numpy(self._gradient(p)) for p in parts])


class ComplexityCorrected(Score):
    """-log p(x) less the length of x compressed, in bits (Serrà et al. 2020, equation 2).

    (https://arxiv.org/abs/1909.11480.) What simple images gain in likelihood, because they are
    simple, a compressor tells too. For images of whole numbers.

    Args:
        flow: of images.
        compressors: names of "zlib", "bz2", "lzma"; the shortest length counts.
    """

    def __init__(self, flow: Flow, compressors: Sequence[str] = ("zlib", "bz2", "lzma")):
        super().__init__(flow)
        unknown = set(compressors) - set(COMPRESSORS)
        if unknown or not compressors:
            raise ValueError(
                f"compressors must be some of {list(COMPRESSORS)}. Received: {compressors!r}"
            )
        if not flow.is_discrete:
            raise ValueError("Complexity is of whole numbers. Received: a flow of real data")
        self.compressors = [COMPRESSORS[name] for name in compressors]

    def raw(self, x):
        rows = np.asarray(x, "uint8")
        lengths = [min(len(c(row.tobytes())) for c in self.compressors) for row in rows]
        return -self._log_prob(x) / math.log(2) - 8 * np.array(lengths, "float64")


class LikelihoodRatio(Score):
    """log p(x) of a background less that of the flow (Ren et al. 2019, equation 3).

    (https://arxiv.org/abs/1906.02845.) The background was trained on perturbed or broader data, and
    has what is common to all: what is left is what the normal rows have of their own.

    Args:
        flow: of normal rows.
        background: another flow over the same events.
    """

    def __init__(self, flow: Flow, background: Flow):
        super().__init__(flow)
        if background.event_shape != flow.event_shape:
            raise ValueError(
                f"Expected a background of events {flow.event_shape}. "
                f"Received: {background.event_shape}"
            )
        self.background = NegativeLogLikelihood(background)

    def raw(self, x):
        return -self._log_prob(x) - self.background(x)


class Ensemble(Score):
    """-log p of several flows, and how far they disagree: WAIC (Choi et al. 2019, equation 1).

        -(mean_k log p_k(x) - var_k log p_k(x))      (https://arxiv.org/abs/1810.01392)

    Args:
        flows: two or more over the same events, of different seeds.
    """

    def __init__(self, flows: Sequence[Flow]):
        if len(flows) < 2:
            raise ValueError(f"An ensemble has at least 2 flows. Received: {len(flows)}")
        super().__init__(flows[0])
        self.members = [NegativeLogLikelihood(flow) for flow in flows]

    def raw(self, x):
        nll = np.stack([member(x) for member in self.members])
        return nll.mean(axis=0) + nll.var(axis=0)


class DensityOfStates(Score):
    """How rare a row's scores are among those of normal rows (Morningstar et al. 2021, DoSE).

    (https://arxiv.org/abs/2006.09273.) Each of several statistics gets a kernel density over the
    normal rows, and the score is minus the sum of its logs: a row is abnormal where some statistic
    is rare, high or low.

    Args:
        flow: a fitted flow.
        statistics: what makes each, of a flow.
    """

    def __init__(
        self,
        flow: Flow,
        statistics: Sequence[Callable[[Flow], Score]] = (
            NegativeLogLikelihood,
            LatentNorm,
            ScoreNorm,
        ),
    ):
        super().__init__(flow)
        self.statistics = [make(flow) for make in statistics]

    def fit(self, x):
        from scipy.stats import gaussian_kde

        self._densities: list[Any] = []
        for statistic in self.statistics:
            values = statistic.fit(x)(x)
            centre, spread = np.median(values), max(float(np.std(values)), 1e-12)
            standard = (values - centre) / spread
            if np.ptp(standard) == 0:
                continue  # the same for all rows, which says nothing
            self._densities.append((statistic, centre, spread, gaussian_kde(standard)))
        return self

    def raw(self, x):
        total = np.zeros(len(x))
        for statistic, centre, spread, density in self._densities:
            standard = (statistic(x) - centre) / spread
            total -= _log_density(density, standard)
        return total


def _log_density(density, values):
    """Log of a kernel density, which beyond all kernels falls as the outermost one does."""
    inside = density.dataset.min() - 3, density.dataset.max() + 3
    cut = np.clip(values, *inside)
    return density.logpdf(cut) - np.abs(values - cut)


SCORES: dict[str, Callable[[Flow], Score]] = {
    "nll": NegativeLogLikelihood,
    "typicality": Typicality,
    "latent_norm": LatentNorm,
    "score_norm": ScoreNorm,
    "complexity": ComplexityCorrected,
    "density_of_states": DensityOfStates,
}
