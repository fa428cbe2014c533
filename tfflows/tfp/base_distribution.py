"""A distribution of TensorFlow Probability as a base of latents."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from tfflows.backend.rng import RowNoise, key_of_seed
from tfflows.distributions import Distribution
from tfflows.tfp.factory import Factory
from tfflows.tfp.substrate import probability
from tfflows.utils.config import deserialize_arguments


@keras.saving.register_keras_serializable(package="tfflows")
class TFPDistribution(Distribution):
    """A `tfd.Distribution` as a base, whose parameters are the layer's weights.

    `sample(temperature=)` scales draws about the distribution's mean, or about 0 where it has none.

    Args:
        make: registered function of `variable`, and of `arguments` by name, that returns a
            distribution of one event of the latents' shape; see `TFPBijector`. One that has a
            parameter `condition` gets the rows of conditions `[batch, *condition_shape]` there, and
            returns a distribution of batch shape `(batch,)`.
        arguments: values that JSON can hold, and Keras layers, whose weights train as well.

    Raises:
        ImportError: TensorFlow Probability is missing or too old.
        ValueError: `make` is not registered, makes variables of its own, takes a condition where
            the flow has none, or its distribution has another shape than the latents.

    Example:
        @keras.saving.register_keras_serializable(package="my_project")
        def laplace(variable):
            return tfd.Independent(tfd.Laplace(variable("loc", np.zeros(2)), 1.0), 1)

        flow = tfflows.models.RealNVP((2,), base=tfflows.tfp.TFPDistribution(laplace))
    """

    def __init__(self, make: Callable, arguments: Mapping[str, Any] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.make = make
        self.arguments = dict(arguments or {})
        self._factory = Factory(self, make, self.arguments)

    def build(self, z_shape, condition_shape=None):
        super().build(z_shape, condition_shape)
        distribution = self._factory.build(condition_shape)
        distributions = probability().distributions
        if not isinstance(distribution, distributions.Distribution):
            raise ValueError(
                f"{self._factory.name} must return a distribution of {distributions.__name__}. "
                f"Received: {distribution!r}"
            )
        if keras.backend.standardize_dtype(distribution.dtype) != self.compute_dtype:
            raise ValueError(
                f"{self._factory.name} must return a distribution of dtype {self.compute_dtype}. "
                f"Received: {distribution!r}"
            )
        batch_shape, event_shape = map(tuple, (distribution.batch_shape, distribution.event_shape))
        batch = (1,) if self._factory.takes_condition else ()
        if batch_shape != batch or event_shape != self.event_shape:
            expected = "a batch shape of one axis, the rows'" if batch else "no batch shape"
            raise ValueError(
                f"{self._factory.name} must return a distribution of event shape "
                f"{self.event_shape} and {expected}: tfd.Independent and tfd.Sample make "
                f"events of a batch. Received: {distribution!r}"
            )
        kind = str(distribution.reparameterization_type)
        self.is_reparameterized = "FULLY" in kind

    def _log_prob(self, z, condition):
        return self._factory(condition).log_prob(z)

    def _draw(self, noise, condition, temperature):
        distribution = self._factory(condition)
        if isinstance(noise, RowNoise):
            draws = self._draw_rows(noise.next_seeds(), condition)
        elif self._factory.takes_condition:
            draws = distribution.sample(seed=key_of_seed(noise.next_seed()))
        else:
            draws = distribution.sample(noise.num_samples, seed=key_of_seed(noise.next_seed()))
        centre = ops.zeros_like(draws)
        try:
            mean = ops.broadcast_to(distribution.mean(), ops.shape(draws))
            centre = ops.where(ops.isfinite(mean), mean, centre)
        except (NotImplementedError, ValueError):  # ValueError: it says that there is none
            pass
        return centre + temperature * (draws - centre)

    def _draw_rows(self, seeds, condition):
        """Each row from its own seed, so that it does not depend on the others of its batch."""
        if not self._factory.takes_condition:
            distribution = self._factory()
            return ops.map(lambda seed: distribution.sample(seed=key_of_seed(seed)), seeds)

        def draw(row):
            seed, single = row
            return self._factory(single[None]).sample(seed=key_of_seed(seed))[0]

        return ops.map(draw, (seeds, condition))

    def get_config(self):
        make = keras.saving.serialize_keras_object(self.make)
        arguments = keras.saving.serialize_keras_object(dict(self.arguments))
        return {**super().get_config(), "make": make, "arguments": arguments}

    @classmethod
    def from_config(cls, config):
        return cls(**deserialize_arguments(config))
