"""Honest held-out numbers: log-likelihood with its standard error, and the Gaussian to beat."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.training.batch import Batch

if TYPE_CHECKING:
    from tfflows.flow import Flow
    from tfflows.serving.served_flow import ServedFlow


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Held-out likelihood of one model on one dataset.

    Attributes:
        log_likelihood: mean log p(x) in nats, in the units of x.
        standard_error: standard error of that mean.
        bits_per_dim: -log_likelihood / (dims log 2).
        num_examples: rows evaluated.
        num_draws: draws of dequantization noise per row, or of a VAE's z.
        round_trip_error: largest |inverse(encode(x)) - x| over the rows, or None if not measured.
        is_discrete: whether x are whole numbers such as pixels, whose bits mean something.
        is_vae: whether the model is a VAE, whose log p(x) is known by a bound only.
        is_noisy: whether the density is that of whole numbers with Gaussian noise, so that it is
            none of theirs, and bits_per_dim has no meaning.
    """

    log_likelihood: float
    standard_error: float
    bits_per_dim: float
    num_examples: int
    num_draws: int = 1
    round_trip_error: float | None = None
    is_discrete: bool = False
    is_vae: bool = False
    is_noisy: bool = False

    def __str__(self) -> str:
        name = "evidence lower bound" if self.is_vae else "log-likelihood"
        name = "log-density with noise" if self.is_noisy else name
        text = f"{name} {self.log_likelihood:.4f} +- {2 * self.standard_error:.4f} nats"
        noise = "z" if self.is_vae else "noise"
        draws = f", {self.num_draws} draws of {noise} each" if self.num_draws > 1 else ""
        text += f" (2 standard errors, {self.num_examples:,} rows{draws})"
        if self.is_discrete and not self.is_noisy:
            text += f", {self.bits_per_dim:.4f} bits/dim"
        if self.round_trip_error is not None:
            text += f", round trip within {self.round_trip_error:.1e}"
        return text


def evaluate(
    flow: "Flow | ServedFlow",
    batches: Iterable,
    round_trip: bool = True,
    num_draws: int = 1,
) -> Evaluation:
    """Mean log p(x) of a flow over a dataset.

    Discrete data take draws of dequantization noise, so that the mean bounds the discrete
    log-likelihood from below. A NaN anywhere makes the mean NaN.

    Args:
        flow: a `tfflows.Flow`, or a `tfflows.serving.ServedFlow`.
        batches: batches of x, of (x, condition) for a conditional flow, or of dicts of these; an
            array is one batch.
        round_trip: whether to measure the round trip as well, where the flow is a bijection.
        num_draws: draws of noise per row, whose mean density is taken; see `Flow.log_prob`.
    """
    error = 0.0
    round_trip = round_trip and flow.is_bijective

    def log_prob(batch):
        nonlocal error
        if flow.condition_shape is None and isinstance(batch, tuple):
            batch = batch[0]  # of (x, labels)
        parsed = Batch.parse(batch)
        x, condition = parsed.x, parsed.condition
        if round_trip:
            again = flow.inverse(flow.encode(x, condition), condition)
            difference = ops.convert_to_numpy(again) - ops.convert_to_numpy(x)
            error = float(np.maximum(error, np.abs(difference).max(initial=0.0)))
        return ops.convert_to_numpy(flow.log_prob(x, condition, num_draws))

    result = _summarise(log_prob, batches, flow.dims)
    return dataclasses.replace(
        result,
        num_draws=num_draws,
        round_trip_error=error if round_trip else None,
        is_discrete=bool(flow.is_discrete),
        is_vae=not flow.is_bijective,
        is_noisy=bool(flow.is_noisy),
    )


def _summarise(log_prob: Callable, batches: Iterable, dims: int) -> Evaluation:
    values = [np.asarray(log_prob(batch), "float64") for batch in _as_batches(batches)]
    values = np.concatenate([np.empty(0), *values])
    if not len(values):
        raise ValueError("The data are empty: nothing to evaluate")
    mean = float(values.mean())
    standard_error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
    return Evaluation(mean, standard_error, -mean / (dims * math.log(2)), len(values))


def _as_batches(data):
    """Batches to go through: an array, or a dict of arrays, is one."""
    return [data] if hasattr(data, "shape") or isinstance(data, dict) else data


# Variance that columns before it must leave of a column, as a share of its own, for it to have one.
LEAST_SHARE = 1e-12


class GaussianBaseline:
    """The maximum-likelihood Gaussian of data: the least that a density model must beat.

    It is computed in float64 on columns that are brought to one scale, whatever their units. A
    column that is constant, or that the columns before it determine to 1e-6 of its deviation, has
    no density. It is given 1e-6 of its deviation (of 1 where it is constant) beside what they
    determine, so that the likelihood is finite and, as that of a flow on such data, without meaning
    in itself.

    Args:
        batches: training batches of x, (x, condition) or dicts, `[batch, *event]`; read once.
        discrete: whether x are integers, which get U[0, 1) noise as a flow's do.
        seed: integer seed of that noise.
    """

    def __init__(self, batches: Iterable, discrete: bool = False, seed: int = 0):
        self._discrete = discrete
        self._rng = np.random.default_rng(seed)
        count, total, products, origin = 0, np.zeros(()), np.zeros(()), np.zeros(())
        for batch in _as_batches(batches):
            rows = self._rows(batch)
            origin = origin if count else rows.mean(axis=0)
            rows = rows - origin  # so that squares of a large mean do not swallow the variance
            count += len(rows)
            total = total + rows.sum(axis=0)
            products = products + rows.T @ rows
        if not count:
            raise ValueError("The data are empty: no Gaussian can be fitted")
        offset = total / count
        self.mean = origin + offset
        covariance = np.atleast_2d(products / count - np.outer(offset, offset))
        deviation = np.sqrt(np.diag(covariance).clip(0))
        # What float64 cannot tell from a constant is one.
        is_constant = deviation <= 4 * np.finfo("float64").eps * np.abs(self.mean)
        self._scale = np.where(is_constant, 1.0, deviation)
        self._factor = _cholesky(covariance / np.outer(self._scale, self._scale))

    def _rows(self, batch):
        x = Batch.parse(batch).x
        rows = np.asarray(ops.convert_to_numpy(x), "float64").reshape(len(x), -1)
        return rows + self._rng.uniform(size=rows.shape) if self._discrete else rows

    def log_prob(self, x: Tensor) -> np.ndarray:
        """log N(x; mean, covariance) in nats, `[batch]`."""
        from scipy.linalg import solve_triangular

        rows = (self._rows(x) - self.mean) / self._scale
        standard = solve_triangular(self._factor, rows.T, lower=True)
        log_det = np.log(np.diag(self._factor)).sum() + np.log(self._scale).sum()
        dims = len(self.mean)
        return -0.5 * (standard**2).sum(axis=0) - log_det - 0.5 * dims * math.log(2 * math.pi)

    def evaluate(self, batches: Iterable) -> Evaluation:
        """Held-out log-likelihood of the Gaussian."""
        result = _summarise(self.log_prob, batches, len(self.mean))
        return dataclasses.replace(result, is_discrete=self._discrete)


def _cholesky(correlation):
    """The lower factor L of a positive semidefinite matrix, whose diagonal is not below 1e-6."""
    with contextlib.suppress(np.linalg.LinAlgError):
        lower = np.linalg.cholesky(correlation)
        if np.diag(lower).min() ** 2 > LEAST_SHARE:
            return lower
    lower, left = np.zeros_like(correlation), correlation.copy()
    for i in range(len(left)):
        share = left[i, i]
        if share <= LEAST_SHARE:  # determined: what is left of it is rounding
            lower[i, i] = math.sqrt(LEAST_SHARE)
            continue
        lower[i:, i] = left[i:, i] / math.sqrt(share)
        left -= np.outer(lower[:, i], lower[:, i])
    return lower
