"""p(x | z) of a VAE: what its decoder says of each element of x."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor, sum_event
from tfflows.distributions.distribution import LOG_2_PI
from tfflows.transforms.log_scale import soft_clip
from tfflows.utils.suggest import nearest

_GRID = 2**10  # of real data, whose noise follows from a hash of them


class Likelihood:
    """Independent distributions of the elements of x `[batch, *event]`, given their parameters.

    A subclass writes `log_prob`, `mean` and `draw`, for parameters
    `[batch, *event, num_parameters]`.

    Attributes:
        num_parameters: of each element.
        data_range: smallest and largest value of an element, or None.
        is_discrete: whether x are whole numbers, so that densities are masses.
    """

    num_parameters = 1
    data_range: tuple[float, float] | None = None
    is_discrete = True

    def check_data(self, x: np.ndarray) -> None:
        """Raise ValueError where data `[n, *event]` have no probability."""

    def scaled(self, x: Tensor) -> Tensor:
        """x as the encoder receives it."""
        return x if self.data_range is None else x / self.data_range[1]

    def row_seeds(self, x: Tensor) -> Tensor:
        """A seed `[n, 2]` from the content of each row, for noise that repeats."""
        if self.data_range is not None:
            return rng.row_seeds(ops.cast(ops.clip(x, *self.data_range), "int32"))
        return rng.row_seeds(ops.cast(ops.clip(x * _GRID, -(2.0**30), 2.0**30), "int32"))

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """log p(x | parameters) in nats, `[batch]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `log_prob`.")

    def mean(self, parameters: Tensor) -> Tensor:
        """Means of the elements, `[batch, *event]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `mean`.")

    def draw(self, parameters: Tensor, noise: rng.BatchNoise | rng.RowNoise) -> Tensor:
        """x `[batch, *event]`, as data are."""
        raise NotImplementedError(f"{type(self).__name__} does not define `draw`.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that it was made with."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Likelihood":
        """The likelihood of a config."""
        return cls(**config)


def _check_whole(x, name):
    if np.issubdtype(x.dtype, np.integer) or x.dtype == bool:
        return
    fractions = x[x != np.floor(x)]
    if fractions.size:
        raise ValueError(
            f"The likelihood {name} expects whole numbers such as raw pixels. "
            f"Received: {fractions.size} others, the first {fractions[0]}"
        )


class _Levels(Likelihood):
    """A distribution over 0..levels-1."""

    def __init__(self, levels: int = 256):
        if not isinstance(levels, int) or not 2 <= levels <= 2**16:
            raise ValueError(f"levels must be an integer from 2 to 65536. Received: {levels!r}")
        self.levels = levels
        self.data_range = (0, levels - 1)

    def check_data(self, x):
        _check_whole(x, type(self).__name__)

    def get_config(self):
        return {"levels": self.levels}


@keras.saving.register_keras_serializable(package="tfflows")
class Bernoulli(Likelihood):
    """Pixels that are 0 or 1; the parameter is the logit of 1.

    log p(x) = sum(x logit - log(1 + exp(logit)))
    """

    data_range = (0, 1)

    def check_data(self, x):
        if np.issubdtype(x.dtype, np.integer) or x.dtype == bool:
            return
        grey = x[(x != 0) & (x != 1)]
        if grey.size:
            raise ValueError(
                "The likelihood 'bernoulli' expects pixels that are 0 or 1: binarize them, as in "
                "(x > 127), or take 'categorical' or 'discretized_logistic' for grey levels. "
                f"Received: {grey.size} others, the first {grey.flat[0]}"
            )

    def log_prob(self, x, parameters):
        logit = parameters[..., 0]
        return sum_event(x * logit - ops.softplus(logit))

    def mean(self, parameters):
        return ops.sigmoid(parameters[..., 0])

    def draw(self, parameters, noise):
        mean = self.mean(parameters)
        return ops.cast(noise.uniform(tuple(mean.shape[1:])) < mean, mean.dtype)


@keras.saving.register_keras_serializable(package="tfflows")
class Categorical(_Levels):
    """Whole numbers 0..levels-1 without an order; the parameters are logits.

    Args:
        levels: how many there are: 256 for 8-bit images.
    """

    def __init__(self, levels: int = 256):
        super().__init__(levels)
        self.num_parameters = levels

    def log_prob(self, x, parameters):
        codes = ops.cast(ops.clip(x, 0, self.levels - 1), "int32")
        nats = ops.sparse_categorical_crossentropy(codes, parameters, from_logits=True)
        return -sum_event(nats)

    def mean(self, parameters):
        values = ops.cast(np.arange(self.levels), parameters.dtype)
        return ops.sum(ops.softmax(parameters, axis=-1) * values, axis=-1)

    def draw(self, parameters, noise):
        below = ops.cumsum(ops.softmax(parameters, axis=-1), axis=-1)[..., :-1]
        u = noise.uniform(tuple(parameters.shape[1:-1]))
        return ops.sum(ops.cast(below < u[..., None], parameters.dtype), axis=-1)


@keras.saving.register_keras_serializable(package="tfflows")
class DiscretizedLogistic(_Levels):
    """Whole numbers 0..levels-1 by a rounded logistic (Kingma et al. 2016, section 5.2).

        p(x) = F(x + 1/2) - F(x - 1/2),  F(x) = sigmoid((x / (levels - 1) - location) / scale)

    with all that is below 0 and above levels - 1 at these. The parameters are location and
    log-scale, which starts near a tenth of the range.

    Args:
        levels: how many there are: 256 for 8-bit images.
    """

    num_parameters = 2

    def _location_and_log_scale(self, parameters):
        return parameters[..., 0] + 0.5, soft_clip(parameters[..., 1] - 2.3)

    def log_prob(self, x, parameters):
        location, log_scale = self._location_and_log_scale(parameters)
        half = 0.5 / (self.levels - 1)
        inverse = ops.exp(-log_scale)
        centred = x / (self.levels - 1) - location
        below, above = (centred - half) * inverse, (centred + half) * inverse
        # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b))
        width = ops.log(-ops.expm1(-2 * half * inverse))
        log_above, log_below = -ops.softplus(-above), -ops.softplus(below)
        inside = log_above + log_below + width
        at_ends = ops.where(x >= self.levels - 1, log_below, inside)
        return sum_event(ops.where(x <= 0, log_above, at_ends))

    def mean(self, parameters):
        location, _ = self._location_and_log_scale(parameters)
        return ops.clip(location, 0, 1) * (self.levels - 1)

    def draw(self, parameters, noise):
        location, log_scale = self._location_and_log_scale(parameters)
        u = noise.uniform(tuple(location.shape[1:]))
        x = location + ops.exp(log_scale) * (ops.log(u) - ops.log1p(-u))
        return ops.clip(ops.round(x * (self.levels - 1)), 0, self.levels - 1)


@keras.saving.register_keras_serializable(package="tfflows")
class Gaussian(Likelihood):
    """Real numbers by a normal distribution; the parameters are mean and log-scale."""

    num_parameters = 2
    is_discrete = False

    def log_prob(self, x, parameters):
        log_scale = soft_clip(parameters[..., 1])
        standard = (x - parameters[..., 0]) * ops.exp(-log_scale)
        return -sum_event(0.5 * (ops.square(standard) + LOG_2_PI) + log_scale)

    def mean(self, parameters):
        return parameters[..., 0]

    def draw(self, parameters, noise):
        mean = self.mean(parameters)
        scale = ops.exp(soft_clip(parameters[..., 1]))
        return mean + scale * noise.normal(tuple(mean.shape[1:]))


LIKELIHOODS = {
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "discretized_logistic": DiscretizedLogistic,
    "gaussian": Gaussian,
}


def get_likelihood(likelihood: str | Likelihood) -> Likelihood:
    """The likelihood of a name, or the one that is given.

    Raises:
        ValueError: there is no such likelihood.
    """
    if isinstance(likelihood, Likelihood):
        return likelihood
    if likelihood not in LIKELIHOODS:
        hint = nearest(str(likelihood), LIKELIHOODS)
        raise ValueError(
            f"likelihood must be one of {list(LIKELIHOODS)}, or a tfflows.vae likelihood. "
            f"Received: {likelihood!r}{hint}"
        )
    return LIKELIHOODS[likelihood]()
