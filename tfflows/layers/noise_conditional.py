"""Layers that are trained on noisy data and told how noisy they are (Kim et al. 2020)."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import repeat_log_det
from tfflows.layers.equal_steps import forward_through, generate_through, inverse_through
from tfflows.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="tfflows")
class NoiseConditional(FlowLayer):
    """Send x `[batch, *event]` plus noise through layers whose condition is the scale of the noise.

        z = layers(x + scale e, condition),   e ~ N(0, 1)          log_det is theirs

    In training each row gets noise of its own scale, which is log-uniform from `low` to `high`. The
    condition `[batch, 1]` is the logarithm of the scale, from -1 for `low` to 1 for `high`, and
    what follows it is the condition of this layer, flat, where it has one. Otherwise there is no
    noise and the scale is `low`: the density is that of the data blurred that little.

    What the layers learn from much noise holds them together where rows are few, and where data
    have no density by themselves: duplicates, integers, constant columns, surfaces (SoftFlow,
    https://arxiv.org/abs/2006.04604).

    Args:
        layers: flow layers that take a condition, from data to latent.
        low, high: the smallest and the largest scale, in the units that x has here; positive.
        seed: integer seed of the noise in training.

    Example:
        >>> layer = NoiseConditional([ConditionalAffine()], low=0.05, high=1.0)
        >>> flow = tfflows.Flow([Standardize(), layer], event_shape=(3,))
    """

    def __init__(
        self,
        layers: Sequence[FlowLayer],
        low: float = 0.05,
        high: float = 1.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0 < low < high:
            raise ValueError(f"Expected 0 < low < high. Received: low={low!r}, high={high!r}")
        self.flow_layers = list(layers)
        for layer in self.flow_layers:
            if not isinstance(layer, FlowLayer):
                raise ValueError(f"layers must be flow layers. Received: {layer!r}")
            if layer.compute_dtype != self.compute_dtype:
                raise ValueError(
                    f"All layers of NoiseConditional must have its dtype, {self.compute_dtype}. "
                    f"Received: {layer.name} of dtype {layer.compute_dtype}"
                )
        self.low, self.high, self.seed = float(low), float(high), seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.needs_vectors = any(layer.needs_vectors for layer in self.flow_layers)

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        size = 1 if condition_shape is None else 1 + math.prod(condition_shape[1:])
        shape = self.event_shape
        for layer in self.flow_layers:
            if not layer.built:
                layer.build((None, *shape), (None, size))
            shape = layer.latent_event_shape(shape)

    def latent_event_shape(self, event_shape):
        for layer in self.flow_layers:
            event_shape = layer.latent_event_shape(event_shape)
        return tuple(event_shape)

    def data_event_shape(self, latent_shape):
        for layer in reversed(self.flow_layers):
            latent_shape = layer.data_event_shape(latent_shape)
        return tuple(latent_shape)

    def _quiet(self, x, condition):
        """The condition of the layers where there is no noise."""
        place = -ops.ones((ops.shape(x)[0], 1), dtype=self.compute_dtype)
        return self._join(place, condition)

    def _join(self, place, condition):
        if condition is None:
            return place
        flat = ops.reshape(condition, (-1, math.prod(condition.shape[1:])))
        return ops.concatenate([place, flat], axis=1)

    def _noisy(self, x, condition):
        """Noisy rows, and the condition that says how noisy each is."""
        rows = (ops.shape(x)[0], 1)
        draw = rng.rows_of_replica(rng.uniform, self.seed_generator, rows, x.dtype)
        noise = rng.rows_of_replica(rng.normal, self.seed_generator, ops.shape(x), x.dtype)
        log_scale = math.log(self.low) + draw * math.log(self.high / self.low)
        scale = ops.reshape(ops.exp(log_scale), (-1, *(1 for _ in self.event_shape)))
        return x + scale * noise, self._join(2 * draw - 1, condition)

    def _forward(self, x, condition=None, training=False):
        quiet = (x, self._quiet(x, condition))
        x, condition = self._noisy(x, condition) if training else quiet
        return forward_through(self.flow_layers, x, repeat_log_det(0.0, x), condition, training)

    def _inverse(self, z, condition=None, training=False):
        condition = self._quiet(z, condition)
        return inverse_through(self.flow_layers, z, repeat_log_det(0.0, z), condition, training)

    def _inverse_alone(self, z, condition=None, training=False):
        return generate_through(self.flow_layers, z, self._quiet(z, condition), training)

    @property
    def needs_adapt(self):
        return any(layer.needs_adapt for layer in self.flow_layers)

    def adapt(self, x, condition=None, force=True):
        if not self.built:
            self.build(x.shape, None if condition is None else tuple(condition.shape))
        x = ops.convert_to_tensor(x)
        condition = self._quiet(x, condition)
        for layer in self.flow_layers:
            layer.adapt(x, condition, force)
            x = layer.forward_in_chunks(x, condition)

    def _constants(self):
        return [constant for layer in self.flow_layers for constant in layer._constants()]

    def _structure_arguments(self):
        return None  # layers that draw noise must not share a seed

    def _can_be_scanned(self, inverse):
        return all(layer._can_be_scanned(inverse) for layer in self.flow_layers)

    def get_config(self):
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.flow_layers]
        own = {"layers": layers, "low": self.low, "high": self.high, "seed": self.seed}
        return {**super().get_config(), **own}
