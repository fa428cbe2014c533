"""A mixture of normals with trainable parameters."""

import keras
from keras import ops

from tfflows.distributions.class_conditional import ClassConditional
from tfflows.distributions.distribution import LOG_2_PI


@keras.saving.register_keras_serializable(package="tfflows")
class MixtureOfGaussians(ClassConditional):
    """A mixture of diagonal normals with trainable weights, means and log-scales.

    log p(z) = logsumexp_k(log weight_k + log N(z; mean_k, exp(log_scale_k)**2))

    Args:
        num_components: number of components, at least 1.
        num_classes: None, or the number of classes, each with its own mixture.
        seed: integer seed of the initial means, which are standard normal.
    """

    is_reparameterized = False

    def __init__(
        self,
        num_components: int = 10,
        num_classes: int | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(num_classes, **kwargs)
        if num_components < 1:
            raise ValueError(f"num_components must be at least 1. Received: {num_components}")
        self.num_components = num_components
        self.seed = seed

    def build(self, z_shape, condition_shape=None):
        super().build(z_shape, condition_shape)
        shape = (self.num_components, *self.event_shape)
        spread = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        self.logits = self._add_parameter("logits", (self.num_components,), "zeros")
        self.mean = self._add_parameter("mean", shape, spread)
        self.log_scale = self._add_parameter("log_scale", shape, "zeros")

    def _log_prob(self, z, condition):
        log_scale = self._select(self.log_scale, condition)
        standard = (z[:, None] - self._select(self.mean, condition)) * ops.exp(-log_scale)
        elements = -0.5 * (ops.square(standard) + LOG_2_PI) - log_scale
        components = ops.sum(elements, axis=tuple(range(2, len(elements.shape))))
        logits = self._select(self.logits, condition)
        total = ops.logsumexp(logits, axis=-1)
        return ops.logsumexp(logits + components, axis=1) - total

    def _draw(self, noise, condition, temperature):
        # The largest of logits plus Gumbel noise is a draw from their softmax.
        gumbel = -ops.log(-ops.log(noise.uniform((self.num_components,))))
        component = ops.argmax(self._select(self.logits, condition) + gumbel, axis=-1)
        chosen = ops.one_hot(component, self.num_components, dtype=self.compute_dtype)
        chosen = ops.reshape(chosen, (-1, self.num_components, *(1 for _ in self.event_shape)))
        mean = ops.sum(chosen * self._select(self.mean, condition), axis=1)
        log_scale = ops.sum(chosen * self._select(self.log_scale, condition), axis=1)
        return mean + temperature * ops.exp(log_scale) * noise.normal(self.event_shape)

    def get_config(self):
        return {**super().get_config(), "num_components": self.num_components, "seed": self.seed}
