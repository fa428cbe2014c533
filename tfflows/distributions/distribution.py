"""The contract of base distributions: log_prob and sample of latents, in `keras.ops`."""

import math

import keras
from keras import ops

from tfflows.backend import rng
from tfflows.backend.settings import Settings
from tfflows.backend.tensor_ops import Tensor, bounded_gradient, data_dtype

LOG_2_PI = math.log(2 * math.pi)


class Distribution(keras.layers.Layer, Settings):
    """A density over latents z `[batch, *event]`.

    A subclass writes `_log_prob(z, condition)` -> `[batch]` and `_draw(noise, condition,
    temperature)` -> z, where `noise` gives standard normal and uniform numbers. It sets
    `is_reparameterized` to False where draws jump as its parameters change.
    """

    is_reparameterized = True

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "is_reparametrized" in vars(cls):
            raise TypeError(f"{cls.__name__}: `is_reparametrized` is now `is_reparameterized`")

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
        z = bounded_gradient(ops.cast(z, self.compute_dtype))
        return self._log_prob(z, condition)

    def compute_output_spec(self, z, condition=None):
        return keras.KerasTensor((z.shape[0],), dtype=self.compute_dtype)

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """log p(z | condition) in nats, `[batch]`, for z `[batch, *event]`."""
        return self(z, condition=condition)

    def sample(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw z `[num_samples, *event]`.

        Args:
            num_samples: number of latents.
            condition: `[num_samples, ...]` where the distribution has one.
            seed: None (fresh), an integer or a `keras.random.SeedGenerator`.
            temperature: factor on the spread: 1 samples the distribution, 0 its centres.
        """
        noise = rng.BatchNoise(num_samples, rng.make_seed(seed), self.compute_dtype)
        return self.draw(noise, condition, temperature)

    def draw(
        self,
        noise: rng.BatchNoise | rng.RowNoise,
        condition: Tensor | None = None,
        temperature: float | Tensor = 1.0,
    ) -> Tensor:
        """z `[noise.num_samples, *event]` from a `BatchNoise` or `RowNoise`."""
        if not self.built:
            raise ValueError(
                f"{type(self).__name__} does not know its event shape yet. "
                "Call `build((None, *event_shape))` or `log_prob(z)` first"
            )
        return self._draw(noise, condition, ops.cast(temperature, self.compute_dtype))

    def get_config(self):
        return super().get_config()  # Keras serialises a dtype policy only where this is overridden
