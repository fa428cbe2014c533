"""Base distributions of latents: log_prob and sample, all in `keras.ops`."""

import math

import keras
from keras import ops

from tfflows import random
from tfflows.tensors import data_dtype, sum_event

LOG_2_PI = math.log(2 * math.pi)


class Distribution(keras.layers.Layer):
    """A density over latents z `[batch, *event]`.

    A subclass writes `_log_prob(z, condition)` -> `[batch]` and `_draw(noise, condition,
    temperature)` -> z, where `noise` gives standard normal and uniform numbers.
    """

    @property
    def compute_dtype(self) -> str:
        return data_dtype(self.variable_dtype)

    def build(self, z_shape, condition_shape=None):
        self.event_shape = tuple(z_shape[1:])

    def call(self, z, condition=None):
        if tuple(z.shape[1:]) != self.event_shape:
            raise ValueError(
                f"{type(self).__name__} was built for z of shape {('batch', *self.event_shape)}. "
                f"Received: z of shape {tuple(z.shape)}"
            )
        return self._log_prob(ops.cast(z, self.compute_dtype), condition)

    def compute_output_spec(self, z, condition=None):
        return keras.KerasTensor((z.shape[0],), dtype=self.compute_dtype)

    def log_prob(self, z, condition=None):
        """log p(z | condition) in nats, `[batch]`, for z `[batch, *event]`."""
        return self(z, condition=condition)

    def sample(
        self,
        num_samples: int,
        condition=None,
        seed: random.Seed = None,
        temperature: float = 1.0,
    ):
        """Draw z `[num_samples, *event]`.

        Args:
            num_samples: number of latents.
            condition: `[num_samples, ...]` where the distribution has one.
            seed: None (fresh), an integer or a `keras.random.SeedGenerator`.
            temperature: factor on the spread: 1 samples the distribution, 0 its centres.
        """
        noise = random.BatchNoise(num_samples, random.make_seed(seed), self.compute_dtype)
        return self.draw(noise, condition, temperature)

    def draw(self, noise, condition=None, temperature=1.0):
        """z `[noise.num_samples, *event]` from a `BatchNoise` or `RowNoise`."""
        if not self.built:
            raise ValueError(
                f"{type(self).__name__} does not know its event shape yet. "
                "Call `build((None, *event_shape))` or `log_prob(z)` first"
            )
        return self._draw(noise, condition, ops.cast(temperature, self.compute_dtype))

    def get_config(self):
        return super().get_config()  # Keras serialises a dtype policy only where this is overridden


@keras.saving.register_keras_serializable(package="tfflows")
class StandardNormal(Distribution):
    """Independent normals of mean 0 and variance 1: log p(z) = -(z.z + dims log 2 pi) / 2."""

    def _log_prob(self, z, condition):
        return -0.5 * sum_event(ops.square(z) + LOG_2_PI)

    def _draw(self, noise, condition, temperature):
        return temperature * noise.normal(self.event_shape)


@keras.saving.register_keras_serializable(package="tfflows")
class StandardLogistic(Distribution):
    """Independent logistic distributions of location 0 and scale 1 (NICE, section 3.4).

    log p(z) = -sum(log(1 + exp(z)) + log(1 + exp(-z)))
    """

    def _log_prob(self, z, condition):
        return -sum_event(ops.softplus(z) + ops.softplus(-z))

    def _draw(self, noise, condition, temperature):
        u = noise.uniform(self.event_shape)
        return temperature * (ops.log(u) - ops.log1p(-u))


class ClassConditional(Distribution):
    """A distribution with trainable parameters, one set a class where `num_classes` is given.

    Labels arrive as the condition: integers `[batch]` or `[batch, 1]` in 0..num_classes-1, or
    one-hot rows `[batch, num_classes]`. Other integers have the density NaN.
    """

    def __init__(self, num_classes: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes must be positive or None. Received: {num_classes}")
        self.num_classes = num_classes

    def _add_parameter(self, name, shape, initializer):
        """A weight `[classes, *shape]`, with one class where there are no labels."""
        shape = (self.num_classes or 1, *shape)
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def _select(self, parameter, condition):
        """Rows of `[classes, *shape]` for each example, or one row for all."""
        if self.num_classes is None:
            return parameter[:1]
        if condition is None:
            raise ValueError(
                f"{type(self).__name__} has {self.num_classes} classes and wants labels "
                "[batch], or one-hot [batch, num_classes], as its condition. Received: none"
            )
        one_hot = self._one_hot(ops.convert_to_tensor(condition))
        rows = ops.matmul(one_hot, ops.reshape(parameter, (self.num_classes, -1)))
        return ops.reshape(rows, (-1, *parameter.shape[1:]))

    def _one_hot(self, condition):
        shape = tuple(condition.shape)
        if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1 and self.num_classes > 1):
            labels = ops.cast(ops.reshape(condition, (-1,)), "int32")
            one_hot = ops.one_hot(labels, self.num_classes, dtype=self.compute_dtype)
            known = ops.logical_and(labels >= 0, labels < self.num_classes)
            return ops.where(known[:, None], one_hot, ops.cast(math.nan, one_hot.dtype))
        if len(shape) != 2 or shape[1] != self.num_classes:
            raise ValueError(
                f"{type(self).__name__} wants labels [batch], or one-hot "
                f"[batch, {self.num_classes}]. Received: condition of shape {shape}"
            )
        return ops.cast(condition, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package="tfflows")
class DiagonalNormal(ClassConditional):
    """Independent normals with trainable mean and log-scale, `[classes, *event]`.

    log p(z) = sum(-((z - mean) exp(-log_scale))**2 / 2 - log_scale - log(2 pi) / 2)

    Args:
        num_classes: None, or the number of classes, each with its own parameters.
    """

    def build(self, z_shape, condition_shape=None):
        super().build(z_shape, condition_shape)
        self.mean = self._add_parameter("mean", self.event_shape, "zeros")
        self.log_scale = self._add_parameter("log_scale", self.event_shape, "zeros")

    def _log_prob(self, z, condition):
        log_scale = self._select(self.log_scale, condition)
        standard = (z - self._select(self.mean, condition)) * ops.exp(-log_scale)
        return sum_event(-0.5 * (ops.square(standard) + LOG_2_PI) - log_scale)

    def _draw(self, noise, condition, temperature):
        scale = temperature * ops.exp(self._select(self.log_scale, condition))
        return self._select(self.mean, condition) + scale * noise.normal(self.event_shape)


@keras.saving.register_keras_serializable(package="tfflows")
class MixtureOfGaussians(ClassConditional):
    """A mixture of diagonal normals with trainable weights, means and log-scales.

    log p(z) = logsumexp_k(log weight_k + log N(z; mean_k, exp(log_scale_k)**2))

    Args:
        num_components: number of components, at least 1.
        num_classes: None, or the number of classes, each with its own mixture.
        seed: integer seed of the initial means, which are standard normal.
    """

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
        log_weights = ops.log_softmax(self._select(self.logits, condition), axis=-1)
        return ops.logsumexp(log_weights + components, axis=1)

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
