"""VampPrior: a mixture of the posteriors of learned inputs (Tomczak and Welling 2018)."""

import math
import types
from typing import TYPE_CHECKING

import keras
from keras import ops

from tfflows.distributions import Distribution

if TYPE_CHECKING:
    from tfflows.vae.variational import Variational


@keras.saving.register_keras_serializable(package="tfflows")
class VampPrior(Distribution):
    """p(z) = mean over k of q(z | u_k), for learned pseudo-inputs u_k.

    (Equation 9, https://arxiv.org/abs/1705.07120.) It stands in a VAE, whose encoder and posterior
    it takes; each z goes through the posterior for each k, in the direction from z to noise.

    Args:
        num_components: pseudo-inputs, at least 1.
        seed: integer seed of the first ones.
    """

    is_reparameterized = False

    def __init__(self, num_components: int = 50, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(num_components, int) or num_components < 1:
            raise ValueError(f"num_components must be at least 1. Received: {num_components!r}")
        self.num_components, self.seed = num_components, seed
        self._bound = types.SimpleNamespace(layer=None)  # not a part: the VAE saves that

    def bind(self, layer: "Variational") -> None:
        """Take the encoder and the posterior of a VAE, which calls this."""
        self._bound.layer = layer

    @property
    def _layer(self) -> "Variational":
        if self._bound.layer is None:
            raise ValueError("A VampPrior stands in a VAE: VAE(..., prior=VampPrior())")
        return self._bound.layer

    def build(self, z_shape, condition_shape=None):
        super().build(z_shape, condition_shape)
        if condition_shape is not None:
            raise ValueError("A VampPrior has no condition. Received: a conditional VAE")
        spread = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        shape = (self.num_components, *self._layer.event_shape)
        self.pseudo_inputs = self.add_weight(name="pseudo_inputs", shape=shape, initializer=spread)

    def _contexts(self):
        inputs = ops.convert_to_tensor(self.pseudo_inputs)
        data_range = self._layer.likelihood.data_range
        if data_range is not None:
            inputs = data_range[1] * ops.sigmoid(inputs)
        return self._layer.context(inputs)

    def _log_prob(self, z, condition):
        contexts, count = self._contexts(), self.num_components
        repeats = (ops.shape(z)[0], *(1 for _ in contexts.shape[1:]))
        log_q = self._layer.posterior.log_density(
            ops.repeat(z, count, axis=0), ops.tile(contexts, repeats)
        )
        return ops.logsumexp(ops.reshape(log_q, (-1, count)), axis=1) - math.log(count)

    def _draw(self, noise, condition, temperature):
        place = ops.cast(noise.uniform((1,))[:, 0] * self.num_components, "int32")
        context = ops.take(self._contexts(), place, axis=0)
        posterior = self._layer.posterior
        z = posterior.base.draw(noise, context, temperature)
        return posterior.generate(z, context)

    def get_config(self):
        config = {"num_components": self.num_components, "seed": self.seed}
        return {**super().get_config(), **config}
