"""Anomaly scores of one fitted model: larger for rows that are more abnormal.

A likelihood by itself is no safe score: a flow that was trained on complex data gives simpler
foreign data a higher likelihood (Nalisnick et al. 2019, https://arxiv.org/abs/1810.09136).
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.anomaly.densities import Model, compiled, evaluate, inputs_of, log_density
from tfflows.backend.autodiff import value_and_pullback
from tfflows.backend.tensor_ops import Tensor, sum_event
from tfflows.flow import Flow

MIN_SPREAD = 1e-6  # deviations below it are rounding


class Score:
    """A number for each row, larger where it is more abnormal.

    A subclass writes `compute` in tensors, which an export traces, and `fit` where it takes
    statistics of normal rows; `fitted` names the attributes that hold them.

    Args:
        model: a fitted flow, VAE or table flow; where it draws noise, a row's follows from the row.
    """

    fitted: tuple[str, ...] = ()
    keeps_rows = False  # whether `fit` keeps the rows themselves, which are then too usual

    def __init__(self, model: Model):
        self.model = model
        self._compiled: dict[str, Callable] = {}

    @property
    def models(self) -> list[Model]:
        """All models that the score reads, the one of normal rows first."""
        return [self.model]

    def see_trained(self, inputs: tuple[np.ndarray, ...], contamination: float = 0.0) -> None:
        """Take the rows that the model was trained on, before `fit`; most scores need none.

        Args:
            inputs: what `inputs_of` made of them.
            contamination: the share of them that may be anomalies.
        """

    def fit(self, x: Any) -> "Score":
        """Take what the score needs of normal rows `[n, *event]`; returns itself."""
        return self.fit_inputs(inputs_of(self.model, x))

    def fit_inputs(self, inputs: tuple[np.ndarray, ...]) -> "Score":
        """As `fit`, of rows that `inputs_of` made."""
        self._compiled = {}
        return self

    def compute(self, *inputs: Tensor) -> Tensor:
        """Scores `[n]` of rows in tensors."""
        raise NotImplementedError(f"{type(self).__name__} does not define `compute`.")

    def statistic(self, *inputs: Tensor) -> Tensor:
        """What a density over several statistics takes of rows, `[n]`: signed where scores are not.

        It must not need what `fit` takes, unless `compute` does.
        """
        return self.compute(*inputs)

    def __call__(self, x: Any) -> np.ndarray:
        """Scores float64 `[n]` of rows `[n, *event]`, as float32 has them; never NaN."""
        return self.of_inputs(inputs_of(self.model, x))

    def of_inputs(self, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
        """As a call, of rows that `inputs_of` made."""
        return self._evaluate(self.compute, inputs)

    def statistics_of(self, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
        """`statistic` of rows that `inputs_of` made, float64 `[n]`."""
        return self._evaluate(self.statistic, inputs)

    def _evaluate(self, function, inputs):
        """A method of tensors on rows; compiled once, until the score is fitted again."""
        name = function.__name__
        if name not in self._compiled:
            self._compiled[name] = compiled(self.model, function)
        return evaluate(self.model, self._compiled[name], inputs)

    def state(self) -> dict[str, np.ndarray]:
        """What `fit` took, as float32 arrays by name."""
        return {name: np.asarray(getattr(self, name), "float32") for name in self.fitted}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Take what `state` gave."""
        for name in self.fitted:
            setattr(self, name, np.asarray(state[name], "float32"))
        self._compiled = {}


class NegativeLogLikelihood(Score):
    """-log p(x) in nats (Bishop 1994)."""

    def compute(self, *inputs):
        return -log_density(self.model, *inputs)


class Typicality(Score):
    """How far -log p(x) is from its mean over normal rows, either way.

    |-log p(x) - entropy| (Nalisnick et al. 2019, https://arxiv.org/abs/1906.02994, equation 3): a
    row that is far too likely is abnormal as well. `of_batch` tests rows together, which sees far
    smaller shifts.
    """

    fitted = ("entropy",)

    def fit_inputs(self, inputs):
        nll = self._evaluate(self.statistic, inputs)
        self.entropy = np.float32(nll.mean())
        return super().fit_inputs(inputs)

    def statistic(self, *inputs):
        return -log_density(self.model, *inputs)

    def compute(self, *inputs):
        return ops.abs(self.statistic(*inputs) - self.entropy)

    def of_batch(self, x: Any) -> float:
        """One score of all rows together, which should be all normal or all abnormal."""
        nll = self._evaluate(self.statistic, inputs_of(self.model, x))
        return float(abs(nll.mean() - self.entropy))


class LatentNorm(Score):
    """How far the norm of z is from that of normal rows, either way.

    |norm(z) - mean norm|: in many dimensions a standard normal lies on a shell of radius
    sqrt(dims), and its most likely point, the centre, is as abnormal as one far out.
    """

    fitted = ("mean",)

    def __init__(self, model: Flow):
        super().__init__(_flow("The norm of the latent", model))

    def fit_inputs(self, inputs):
        self.mean = np.float32(self._evaluate(self.statistic, inputs).mean())
        return super().fit_inputs(inputs)

    def statistic(self, x):
        # Divided by the largest element first, whose square may be beyond float32.
        z = ops.reshape(self.model.latents(x), (-1, int(np.prod(self.model.latent_shape))))
        largest = ops.maximum(ops.max(ops.abs(z), axis=1), 1e-30)
        return largest * ops.sqrt(sum_event(ops.square(z / largest[:, None])))

    def compute(self, x):
        return ops.abs(self.statistic(x) - self.mean)


class ScoreNorm(Score):
    """The norm of the gradient of log p in x: small near modes, whatever the likelihood there.

    (Grathwohl et al. 2020, https://arxiv.org/abs/1912.03263, section 5.3, "approximate mass".) Rows
    are compared in deviations of the normal ones, so that units do not matter; columns that are
    constant there are left out.
    """

    fitted = ("scale",)

    def __init__(self, model: Flow):
        super().__init__(_flow("The gradient in x", model))

    def fit_inputs(self, inputs):
        x = inputs[0].astype("float64")
        spread, size = x.std(axis=0), np.abs(x).max(axis=0)
        self.scale = np.where(spread > MIN_SPREAD * size, spread, 0).astype("float32")
        return super().fit_inputs(inputs)

    def compute(self, x):
        (log_prob,), pullback = value_and_pullback(lambda x: (self.model.log_density(x),), [x])
        (slope,) = pullback(ops.ones_like(log_prob))
        scaled = ops.reshape(slope * self.scale, (-1, self.model.dims))
        largest = ops.maximum(ops.max(ops.abs(scaled), axis=1), 1e-30)
        return largest * ops.sqrt(sum_event(ops.square(scaled / largest[:, None])))


class FisherScore(Score):
    """How far the gradient of log p in the weights is from what normal rows give.

        f_j = log ||d log p(x) / d weights_j||^2,    score = sum_j ((f_j - mean_j) / deviation_j)^2

    over the weights j of the layers: a test by the diagonal of the Fisher information (Dauncey et
    al. 2023, https://arxiv.org/abs/2403.01485; Bergamin et al. 2022,
    https://arxiv.org/abs/2203.01097). Rows go one by one, at about five times the time of the nll.
    """

    fitted = ("mean", "deviation")

    def fit_inputs(self, inputs):
        features = self._evaluate(self._features, inputs)
        self.mean = features.mean(axis=0).astype("float32")
        spread = features.std(axis=0)
        self.deviation = np.where(spread > MIN_SPREAD, spread, np.inf).astype("float32")
        self.deviation = np.minimum(self.deviation, 1e30)  # of weights without a gradient
        return super().fit_inputs(inputs)

    def _features(self, *inputs):
        weights = self.model.trainable_weights
        values = [weight.value for weight in weights]

        def features_of_row(*row):
            def density(*values):
                mapping = list(zip(weights, values, strict=True))
                with keras.StatelessScope(state_mapping=mapping):
                    return (log_density(self.model, *(each[None] for each in row)),)

            (log_prob,), pullback = value_and_pullback(density, values)
            squares = [ops.sum(ops.square(slope)) for slope in pullback(ops.ones_like(log_prob))]
            return ops.log(ops.stack(squares) + 1e-30)

        return ops.map(lambda row: features_of_row(*row), inputs)

    def compute(self, *inputs):
        return sum_event(ops.square((self._features(*inputs) - self.mean) / self.deviation))


def _flow(what: str, model: Any) -> Flow:
    if not isinstance(model, Flow):
        raise ValueError(
            f"{what} is one of flows over arrays: Expected a Flow. Received: {type(model).__name__}"
        )
    return model


def check_members(models: Sequence[Any], what: str) -> None:
    """ValueError unless all models are over the events of the first."""
    first = models[0]
    for model in models[1:]:
        if isinstance(first, Flow) != isinstance(model, Flow):
            came = f"a {type(model).__name__} beside a {type(first).__name__}"
            raise ValueError(f"Expected {what} of the same events. Received: {came}")
        if not isinstance(first, Flow):
            if model.schema != first.schema:
                raise ValueError(
                    f"Expected {what} of the same events. Received: one over other columns"
                )
        # Probabilities of whole numbers and densities of real ones have no ratio.
        elif _events_of(model) != _events_of(first):
            raise ValueError(
                f"Expected {what} of {_events_of(first)}. Received: one of {_events_of(model)}"
            )


def _events_of(flow):
    """The shape of an event, and which numbers it holds, as text."""
    numbers = "real numbers"
    if flow.is_discrete:
        numbers = "whole numbers"
        if flow.data_range is not None:
            numbers += " from {:g} to {:g}".format(*flow.data_range)
    return f"events {flow.event_shape} of {numbers}"
