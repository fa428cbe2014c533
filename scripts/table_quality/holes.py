"""Nll of cells that were removed at random, given those of their row that were not.

Means over the removed cells in nats, of -log p(cell | seen cells of its row) for each cell by
itself ("cells"), and of the joint -log p(removed cells | seen cells) ("joint"): density in the
column's own units, mass of discrete cells and atoms. The baselines have a normal distribution per
number. A whole number has the mass of its step; the ends of a
bounded column take the mass beyond them, so that everything sums to 1. Codes are one-hot columns.
"""

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import log_ndtr
from sklearn.linear_model import LogisticRegression

from tfflows.tables.columns import Coded

RATES = (0.1, 0.3, 0.5)
SHARE_OF_MARGINAL = 0.01
RIDGE = 1e-6


def removed_cells(rows: int, columns: int, rate: float, seed: int = 0) -> np.ndarray:
    """Which cells are removed: bool `[rows, columns]`, that share of all of them."""
    chosen = np.random.default_rng([seed, int(rate * 100)]).random(rows * columns).argsort()
    removed = np.zeros(rows * columns, bool)
    removed[chosen[: round(rate * rows * columns)]] = True
    return removed.reshape(rows, columns)


class Encoding:
    """Rows as standardized numbers and one-hot codes, `[n, features]`."""

    def __init__(self, schema, train):
        self.columns = list(schema)
        self.slices, start = [], 0
        for column in self.columns:
            size = column.num_codes if isinstance(column, Coded) else 1
            self.slices.append(slice(start, start + size))
            start += size
        sizes = [part.stop - part.start for part in self.slices]
        self.column_of = np.repeat(np.arange(len(sizes)), sizes)
        raw = self._raw(train)
        is_code = np.array([isinstance(c, Coded) for c in self.columns for _ in self._range(c)])
        self.mean = np.where(is_code, 0.0, raw.mean(0))
        self.scale = np.where(is_code | (raw.std(0) == 0), 1.0, raw.std(0))
        self.low, self.high = raw.min(0), raw.max(0)
        self.frequencies = (raw.sum(0) + 0.5) / (len(raw) + 0.5)

    def _range(self, column):
        return range(column.num_codes if isinstance(column, Coded) else 1)

    def _raw(self, cells):
        parts = []
        for column in self.columns:
            values = cells[column.name].values
            one_hot = values[:, None] == np.arange(len(self._range(column)))
            parts.append(one_hot if isinstance(column, Coded) else values[:, None])
        return np.hstack(parts).astype("float64")

    def encode(self, cells):
        """Features of cells."""
        return (self._raw(cells) - self.mean) / self.scale

    def features_of(self, removed):
        """Which features belong to the removed cells, bool `[n, features]`."""
        return removed[:, self.column_of]

    def mixed_log_prob(self, i, x, mean, std):
        """`log_prob` where 1 % of the prediction is the column's normal distribution in training.

        Regressions that hardly err in training are sure of what follows from a wrong draw.
        """
        own = self.log_prob(i, x, mean, std)
        if isinstance(self.columns[i], Coded):
            return own
        marginal = self.log_prob(i, x, np.zeros_like(mean), np.ones_like(std))
        return np.logaddexp(
            np.log1p(-SHARE_OF_MARGINAL) + own, np.log(SHARE_OF_MARGINAL) + marginal
        )

    def log_prob(self, i, x, mean, std):
        """Log p of encoded cells of column i under normal predictions; codes under shares.

        Args:
            i: the column's position.
            x: `[n, features of the column]`.
            mean, std: the same shape. For codes `mean` has their shares, which are clipped and
                mixed with 1 % of the training frequencies.
        """
        column, part = self.columns[i], self.slices[i]
        if isinstance(column, Coded):
            shares = np.clip(mean, 0, None) + 1e-12
            shares /= shares.sum(-1, keepdims=True)
            frequencies = self.frequencies[part] / self.frequencies[part].sum()
            shares = (1 - SHARE_OF_MARGINAL) * shares + SHARE_OF_MARGINAL * frequencies
            return np.log((shares * x).sum(-1))
        unit, offset = self.scale[part][0], self.mean[part][0]
        x, mean, std = x[..., 0], mean[..., 0], std[..., 0]
        raw, low, high = x * unit + offset, *column.bounds
        if column.is_discrete:
            half = 0.5 / unit
            a = np.where(np.isclose(raw, np.nan if low is None else low), -np.inf, x - half)
            b = np.where(np.isclose(raw, np.nan if high is None else high), np.inf, x + half)
            return _log_mass((a - mean) / std, (b - mean) / std)
        z = (x - mean) / std
        density = -(z**2 + np.log(2 * np.pi)) / 2 - np.log(std * unit)
        for end, side in ((low, z), (high, -z)):
            if end in column.atoms:
                density = np.where(np.isclose(raw, end), log_ndtr(side), density)
        return density


def _log_mass(a, b):
    flip = a + b > 0
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    log_a, log_b = log_ndtr(a), log_ndtr(b)
    return log_b + np.log1p(-np.exp(np.minimum(log_a - log_b, -1e-300)))


class Gaussian:
    """A normal distribution of all features with a full covariance; exact conditionals."""

    def __init__(self, encoding, train):
        x = encoding.encode(train)
        self.encoding = encoding
        self.mean = x.mean(0)
        self.covariance = np.cov(x.T) + RIDGE * np.eye(x.shape[1])

    def cell_log_prob(self, cells, removed):
        """Log p of each removed cell `[n, columns]`: given the seen ones, and as a chain.

        In the chain the removed cells before it in the row are given too, so that its sum is the
        joint log p. NaN where seen.
        """
        x = self.encoding.encode(cells)
        hidden = self.encoding.features_of(removed)
        means, stds = np.zeros((2, *x.shape)), np.ones((2, *x.shape))
        for row, (values, gone) in enumerate(zip(x, hidden, strict=True)):
            if gone.any():
                means[:, row, gone], stds[:, row, gone] = self._predict(values, gone)
        result = np.full((2, *removed.shape), np.nan)
        for i, part in enumerate(self.encoding.slices):
            at = removed[:, i]
            for k in range(2):
                values = (x[at, part], means[k, at, part], stds[k, at, part])
                result[k, at, i] = self.encoding.log_prob(i, *values)
        return result

    def _predict(self, x, gone):
        known = ~gone
        cross = self.covariance[np.ix_(known, gone)]
        weights = np.linalg.solve(self.covariance[np.ix_(known, known)], cross)
        mean = self.mean[gone] + (x - self.mean)[known] @ weights
        covariance = self.covariance[np.ix_(gone, gone)] - cross.T @ weights
        factor = np.linalg.cholesky(covariance + RIDGE * np.eye(len(mean)))
        column = self.encoding.column_of[gone]
        is_own = column[:, None] == column
        noise = solve_triangular(factor, x[gone] - mean, lower=True)
        chain = mean + np.where(is_own, 0, factor) @ noise
        stds = np.linalg.norm(factor, axis=1), np.linalg.norm(factor * is_own, axis=1)
        return np.stack([mean, chain]), np.stack(stds)


class ChainedEquations:
    """MICE: a regression per column on all others, and draws of the removed cells in turn.

    Numbers have a linear regression with normal errors, codes a logistic one (S. van Buuren and
    K. Groothuis-Oudshoorn 2011, "mice", https://doi.org/10.18637/jss.v045.i03). They learn on
    complete training rows. p(cell | seen) is the mean of its regression's prediction over draws of
    the other removed cells, with 1 % of the column's marginal mixed in.

    Args:
        encoding: of the rows.
        train: cells of the training rows.
        burn_in, draws: sweeps before and while predictions are averaged.
    """

    def __init__(self, encoding, train, burn_in=10, draws=50, seed=0):
        self.encoding, self.burn_in, self.draws = encoding, burn_in, draws
        self.rng = np.random.default_rng(seed)
        x = encoding.encode(train)
        self.models = []
        for i, part in enumerate(encoding.slices):
            others = np.delete(x, np.r_[part], axis=1)
            if isinstance(encoding.columns[i], Coded):
                codes = x[:, part].argmax(1)
                self.models.append(LogisticRegression(max_iter=200).fit(others, codes))
            else:
                others = np.hstack([others, np.ones((len(x), 1))])
                gram = others.T @ others + RIDGE * len(x) * np.eye(others.shape[1])
                weights = np.linalg.solve(gram, others.T @ x[:, part])
                self.models.append((weights, np.std(x[:, part] - others @ weights)))

    def _predict(self, i, x):
        part = self.encoding.slices[i]
        others = np.delete(x, np.r_[part], axis=1)
        if isinstance(self.encoding.columns[i], Coded):
            shares = np.zeros((len(x), part.stop - part.start))
            shares[:, self.models[i].classes_] = self.models[i].predict_proba(others)
            return shares, np.ones_like(shares)
        weights, std = self.models[i]
        mean = np.hstack([others, np.ones((len(x), 1))]) @ weights
        return mean, np.full_like(mean, std)

    def _draw(self, i, mean, std):
        part = self.encoding.slices[i]
        if isinstance(self.encoding.columns[i], Coded):
            u = self.rng.random((len(mean), 1))
            codes = np.minimum((mean.cumsum(1) < u).sum(1), mean.shape[1] - 1)
            return codes[:, None] == np.arange(mean.shape[1])
        low, high = (
            (side[part] - self.encoding.mean[part]) / self.encoding.scale[part]
            for side in (self.encoding.low, self.encoding.high)
        )
        return np.clip(mean + std * self.rng.standard_normal(mean.shape), low, high)

    def cell_log_prob(self, cells, removed):
        """Log p(cell | seen cells of the row) of each cell `[n, columns]`; NaN where seen."""
        truth = self.encoding.encode(cells)
        hidden = self.encoding.features_of(removed)
        x = np.where(hidden, 0.0, truth)
        logs = np.zeros((self.draws, *removed.shape))
        for sweep in range(self.burn_in + self.draws):
            for i, part in enumerate(self.encoding.slices):
                at = removed[:, i]
                if not at.any():
                    continue
                mean, std = self._predict(i, x[at])
                if sweep >= self.burn_in:
                    values = self.encoding.mixed_log_prob(i, truth[at, part], mean, std)
                    logs[sweep - self.burn_in, at, i] = values
                x[at, part] = self._draw(i, mean, std)
        mean = np.logaddexp.reduce(logs, axis=0) - np.log(self.draws)
        return np.where(removed, mean, np.nan)


def model_log_prob(model, frame, removed, batch_size=4096):
    """Of a TableFlow: log p of each removed cell `[n, columns]`, and of all of a row's `[n]`."""
    seen = (~removed).astype("float32")
    encoded = model.encoder.encode(model.schema.parse(frame))
    parts = []
    for start in range(0, len(seen), batch_size):
        batch = [array[start : start + batch_size] for array in (*encoded, seen)]
        parts.append(np.asarray(model.network.log_terms_of_unseen(*batch)))
    cells = np.where(removed, np.concatenate(parts), np.nan)
    return cells, model.log_prob_of_cells(frame, ~removed, num_orders=8)


def mean_and_error(log_prob: np.ndarray, removed: np.ndarray) -> tuple[float, float]:
    """Nll per removed cell in nats, and its standard error over rows.

    Args:
        log_prob: of the removed cells of each row together, `[n]`.
        removed: bool `[n, columns]`.
    """
    counts = removed.sum(1)
    nll = -log_prob.sum() / counts.sum()
    residuals = -log_prob - nll * counts
    return float(nll), float(residuals.std() * len(counts) ** 0.5 / counts.sum())
