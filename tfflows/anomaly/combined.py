"""Scores of scores: how rare a row's statistics are among those of normal rows."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from keras import ops

from tfflows.anomaly.densities import Model
from tfflows.anomaly.scores import Score

MAX_ROWS = 5_000  # of normal rows, in the densities of their statistics
NUM_KNOTS = 257
MIN_BANDWIDTH = 0.02
MAX_COMPONENTS = 5


class CombinedScore(Score):
    """Several statistics of a row as one vector, of which a subclass takes a density.

    Each statistic v goes through asinh((v - median) / spread), so that rows far out, of which flows
    have some in most tables, leave the scale of the others as it is.

    Args:
        model: a fitted model.
        statistics: what makes each, of a model.
    """

    def __init__(self, model: Model, statistics: Sequence[Callable[[Model], Score]]):
        super().__init__(model)
        if not statistics:
            raise ValueError("Expected `statistics` to hold at least one. Received: none")
        self.statistics = [make(model) for make in statistics]

    def fit_inputs(self, inputs):
        columns = []
        for statistic in self.statistics:
            statistic.fit_inputs(inputs)
            columns.append(statistic.statistics_of(inputs))
        values = np.stack(columns, axis=1)
        self.centre = np.median(values, axis=0)
        low, high = np.quantile(values, [0.25, 0.75], axis=0)
        # Of a statistic that is the same for most rows, what is more than rounding counts.
        floor = np.maximum(values.std(axis=0) * 1e-3, 1e-5 * np.abs(self.centre) + 1e-9)
        self.spread = np.maximum((high - low) / 1.349, floor)
        places = np.linspace(0, len(values) - 1, min(len(values), MAX_ROWS)).astype(int)
        standard = np.arcsinh((values[places] - self.centre) / self.spread)
        self._fit_density(standard)
        return super().fit_inputs(inputs)

    def _fit_density(self, standard: np.ndarray) -> None:
        """Take a density of vectors `[n, statistics]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `_fit_density`.")

    def _vector(self, inputs):
        values = ops.stack([s.statistic(*inputs) for s in self.statistics], axis=1)
        centre, spread = (np.asarray(v, "float32") for v in (self.centre, self.spread))
        return ops.arcsinh(ops.clip((values - centre) / spread, -1e15, 1e15))

    def state(self):
        own = super().state()
        for place, statistic in enumerate(self.statistics):
            own |= {f"{place}_{name}": value for name, value in statistic.state().items()}
        return own

    def set_state(self, state):
        super().set_state(state)
        for place, statistic in enumerate(self.statistics):
            names = statistic.fitted
            statistic.set_state({name: state[f"{place}_{name}"] for name in names})


class DensityOfStates(CombinedScore):
    """Minus the sum of the log-densities of a row's statistics (Morningstar et al. 2021, DoSE).

    (https://arxiv.org/abs/2006.09273.) Each statistic gets a kernel density over normal rows: a row
    is abnormal where some statistic is rare, high or low. Beyond all normal rows the log-density
    goes on in a straight line.
    """

    fitted = ("centre", "spread", "low", "step", "log_densities")

    def _fit_density(self, standard):
        rows = len(standard)
        curves = []
        for values in standard.T:
            low, high = np.quantile(values, [0.25, 0.75])
            narrow = min(values.std(), (high - low) / 1.349)
            bandwidth = max(0.9 * narrow * rows**-0.2, MIN_BANDWIDTH)
            start, end = values.min() - 3 * bandwidth, values.max() + 3 * bandwidth
            knots = np.linspace(start, end, NUM_KNOTS)
            kernels = -(((knots[:, None] - values) / bandwidth) ** 2) / 2
            log_density = np.logaddexp.reduce(kernels, axis=1) - math.log(
                rows * bandwidth * math.sqrt(2 * math.pi)
            )
            curves.append((start, knots[1] - knots[0], log_density))
        low, step, log_densities = zip(*curves, strict=True)
        self.low, self.step = np.array(low, "float32"), np.array(step, "float32")
        self.log_densities = np.array(log_densities, "float32")

    def compute(self, *inputs):
        places = (self._vector(inputs) - self.low) / self.step
        left = ops.clip(ops.floor(places), 0, NUM_KNOTS - 2)
        own = np.arange(len(self.statistics), dtype="int32") * NUM_KNOTS
        index = ops.cast(left, "int32") + own
        curves = self.log_densities.reshape(-1)
        start, end = ops.take(curves, index), ops.take(curves, index + 1)
        return -ops.sum(start + (places - left) * (end - start), axis=1)


class JointDensity(CombinedScore):
    """Minus the log-density of the vector of a row's statistics: a second density.

    A mixture of up to five normals with full covariances, as many as have the best BIC. It sees
    pairs of statistics that do not go together, such as an image that is simple and not as likely
    as simple images are, where each of the two is usual by itself.
    """

    fitted = ("centre", "spread", "log_weights", "means", "precisions")

    def _fit_density(self, standard):
        from sklearn.mixture import GaussianMixture

        enough = len(standard) // (10 * standard.shape[1])
        distinct = len(np.unique(standard, axis=0))
        few = max(1, min(MAX_COMPONENTS, enough, distinct))
        fits = [
            GaussianMixture(count, reg_covar=1e-2, random_state=0).fit(standard)
            for count in range(1, few + 1)
        ]
        best = min(fits, key=lambda mixture: mixture.bic(standard))
        self.means, self.precisions = best.means_, best.precisions_cholesky_
        log_dets = np.log(np.diagonal(self.precisions, axis1=1, axis2=2)).sum(axis=1)
        dims = standard.shape[1]
        self.log_weights = np.log(best.weights_) + log_dets - dims / 2 * math.log(2 * math.pi)

    def compute(self, *inputs):
        means, precisions = (
            np.asarray(self.means, "float32"),
            np.asarray(self.precisions, "float32"),
        )
        offsets = self._vector(inputs)[:, None, :] - means
        whitened = ops.sum(offsets[:, :, :, None] * precisions, axis=2)
        distances = ops.sum(ops.square(whitened), axis=2)
        log_weights = np.asarray(self.log_weights, "float32")
        return -ops.logsumexp(log_weights - distances / 2, axis=1)
