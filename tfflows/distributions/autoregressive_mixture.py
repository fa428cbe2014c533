"""A mixture of normals for each element given those before it (MADE MoG, the base of MAF MoG)."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import sum_event
from tfflows.distributions.distribution import LOG_2_PI, Distribution
from tfflows.networks import MADE
from tfflows.networks.made.inverter import Inverter
from tfflows.networks.made.made import bounded
from tfflows.networks.made.order import make_order, reorder
from tfflows.transforms.log_scale import LOG_SCALES

MAX_ABS_INITIAL_MEAN = (
    2.0  # the components' means at first reach from -MAX_ABS_INITIAL_MEAN to MAX_ABS_INITIAL_MEAN
)


@keras.saving.register_keras_serializable(package="tfflows")
class AutoregressiveMixture(Distribution):
    """Papamakarios et al. 2017, section 4.1 (MADE MoG); Theis and Bethge 2015, equation 3.

        log p(z) = sum_i logsumexp_k(log weight_ik + log N(z_i; mean_ik, exp(log_scale_ik)**2))
        weight, mean, log_scale = MADE(z, condition)

    Latents are vectors. A draw computes each hidden unit of the MADE once (see
    `MaskedAutoregressive`). A condition, features or one-hot, goes to the network.

    Args:
        num_components: components of each element's mixture, at least 1.
        hidden_units: widths of MADE's hidden layers, at least elements - 1 each.
        activation: within MADE.
        residual: whether MADE is residual.
        order: "sequential", "reversed", "random", or the elements' indices in their order.
        seed: integer of a random order.
    """

    is_reparameterized = False

    def __init__(
        self,
        num_components: int = 10,
        hidden_units: Sequence[int] = (256, 256),
        activation: str = "relu",
        residual: bool = False,
        order: str | Sequence[int] = "sequential",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(num_components, int) or num_components < 1:
            raise ValueError(f"num_components must be at least 1. Received: {num_components!r}")
        self.num_components = num_components
        self.network = MADE(
            3 * num_components, hidden_units, activation, residual, dtype=self.compute_dtype
        )
        self.order = order if isinstance(order, str) else np.asarray(order).tolist()
        self.seed = seed
        self._bound = LOG_SCALES["soft_clip"]
        self._invert = Inverter(self.network, self._element, num_latents=2)

    def build(self, z_shape, condition_shape=None):
        super().build(z_shape, condition_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                f"{type(self).__name__} expects vectors. "
                f"Received: latents of shape {self.event_shape}"
            )
        self._order = make_order(self.order, self.event_shape[0], self.seed)
        self.network.build((None, *self.event_shape), condition_shape)

    def _components(self, parameters):
        """Log-weights, means and log-scales, each `[components, ...]`."""
        count = self.num_components
        logits, shifts, s = (ops.stack(bounded(parameters[i * count :][:count])) for i in range(3))
        # Equal components would have equal gradients and stay equal.
        means = (
            np.linspace(-MAX_ABS_INITIAL_MEAN, MAX_ABS_INITIAL_MEAN, count)
            if count > 1
            else np.zeros(1)
        )
        means = means.reshape((count, *(1 for _ in shifts.shape[1:]))).astype(self.compute_dtype)
        log_weights = logits - ops.logsumexp(logits, axis=0, keepdims=True)
        return log_weights, shifts + means, self._bound(s)

    def _log_prob(self, z, condition):
        z = reorder(z, self._order)
        parameters = self.network(z, condition)
        log_weights, means, log_scales = self._components(ops.unstack(parameters, axis=1))
        standard = (z - means) * ops.exp(-log_scales)
        terms = log_weights - 0.5 * (ops.square(standard) + LOG_2_PI) - log_scales
        return sum_event(ops.logsumexp(terms, axis=0))

    def _draw(self, noise, condition, temperature):
        spread = temperature * noise.normal(self.event_shape)
        z, _ = self._invert([spread, noise.uniform(self.event_shape)], condition)
        return reorder(z, np.argsort(self._order))

    def _element(self, latents, parameters):
        """An element from its component, the first whose cumulated weight reaches the uniform."""
        spread, uniform = latents
        log_weights, means, log_scales = self._components(parameters)
        below = ops.cumsum(ops.exp(log_weights), axis=0) < uniform
        index = ops.sum(ops.cast(below, "int32"), axis=0)
        index = ops.minimum(index, self.num_components - 1)  # weights may sum to less than 1
        chosen = ops.one_hot(index, self.num_components, axis=0, dtype=self.compute_dtype)
        mean, log_scale = (ops.sum(chosen * each, axis=0) for each in (means, log_scales))
        return mean + ops.exp(log_scale) * spread, ops.zeros_like(spread)

    def get_config(self):
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "hidden_units": self.network.hidden_units,
            "activation": self.network.activation,
            "residual": self.network.residual,
            "order": self.order,
            "seed": self.seed,
        }
