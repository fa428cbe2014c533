"""The stochastic layer of a VAE: x to z by the posterior, z to x by the likelihood."""

import math
import types
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor, zero_or_nan
from tfflows.layers import FlowLayer
from tfflows.networks import join_condition, joined_shape
from tfflows.utils.checks import as_shape
from tfflows.vae.likelihoods import Likelihood, get_likelihood
from tfflows.vae.posterior import Posterior


class Draw(NamedTuple):
    """A draw of z for each row, `[batch, *latent]`, and two log-densities `[batch]` of it."""

    z: Tensor
    log_likelihood: Tensor  # log p(x | z)
    log_posterior: Tensor  # log q(z | x)


@keras.saving.register_keras_serializable(package="tfflows")
class Variational(FlowLayer):
    """Draw z given x, as a layer whose log-det is a bound (Nielsen et al. 2020, SurVAE, table 1).

        z ~ q(z | x)                log_det = log p(x | z) - log q(z | x)
        x = mean of p(x | z)

    for x `[batch, *event]` and z `[batch, *latent_shape]`, which may differ in size. On a prior
    p(z) its log-density is a draw of the evidence lower bound (Kingma and Welling 2014, equation 2,
    https://arxiv.org/abs/1312.6114). Training draws fresh noise each step. Otherwise the noise of a
    row follows from the row, so that the same x has the same bound.

    Args:
        encoder: a Keras layer, x `[batch, *event]` to a context `[batch, ...]`. A condition is
            appended to the last axis of x.
        decoder: a Keras layer, z `[batch, *latent_shape]` to features `[batch, ...]`. Where these
            have the event's axes, the parameters of an element are linear in its features;
            otherwise in all of them.
        latent_shape: shape of one z.
        posterior: layers from z to noise or a conditional flow; see `Posterior`.
        likelihood: a name, or a `tfflows.vae` likelihood.
        seed: integer seed of the noise in training.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        latent_shape: Sequence[int],
        posterior: Any = None,
        likelihood: str | Likelihood = "bernoulli",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, keras.layers.Layer):
                raise ValueError(f"{name} must be a Keras layer or model. Received: {network!r}")
        self.encoder, self.decoder = encoder, decoder
        self.latent_shape = as_shape("latent_shape", latent_shape)
        self._given = types.SimpleNamespace(posterior=posterior)  # saved in `posterior`
        self.likelihood = get_likelihood(likelihood)
        self.data_range = self.likelihood.data_range
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        event = None if condition_shape is None else tuple(condition_shape[1:])
        context = _built(self.encoder, "encoder", (None, *joined_shape(self.event_shape, event)))
        self.posterior = Posterior.make(
            self._given.posterior, self.latent_shape, context, self.compute_dtype
        )
        joined = (None, *joined_shape(self.latent_shape, event))
        features = _built(self.decoder, "decoder", joined)
        parameters = self.likelihood.num_parameters
        if features[:-1] == self.event_shape[:-1]:
            units, inputs = self.event_shape[-1] * parameters, (None, *features)
        else:
            units, inputs = math.prod(self.event_shape) * parameters, (None, math.prod(features))
        self._head_shape = inputs[1:]
        self.head = keras.layers.Dense(units, dtype=self.compute_dtype, name="head")
        self.head.build(inputs)

    def latent_event_shape(self, event_shape):
        return self.latent_shape

    def check_data(self, x, names=None):
        super().check_data(x, names)
        self.likelihood.check_data(x)

    def context(self, x: Tensor, condition: Tensor | None = None, training: bool = False) -> Tensor:
        """What the encoder says of x, `[batch, *context_shape]`."""
        inputs = join_condition(self.likelihood.scaled(x), condition)
        return ops.cast(self.encoder(inputs, training=training), self.compute_dtype)

    def parameters(
        self, z: Tensor, condition: Tensor | None = None, training: bool = False
    ) -> Tensor:
        """What the decoder says of each element of x, `[batch, *event, num_parameters]`."""
        features = self.decoder(join_condition(z, condition), training=training)
        features = ops.cast(features, self.compute_dtype)
        values = self.head(ops.reshape(features, (-1, *self._head_shape)))
        return ops.reshape(values, (-1, *self.event_shape, self.likelihood.num_parameters))

    def noise(self, x: Tensor, training: bool = False) -> Tensor:
        """Noise of one z for each row of x, `[n, *noise_shape]`."""
        if not training:
            return self.row_noise(x, ops.zeros((1,), "int32"))
        shape = (ops.shape(x)[0], *self.posterior.latent_shape)
        return rng.rows_of_replica(rng.normal, self.seed_generator, shape, self.compute_dtype)

    def row_noise(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Noise of the draws of given numbers `[k]` of each row, `[n k, *noise_shape]`."""
        seeds = self.likelihood.row_seeds(x)[:, None] * np.array([1, 1], "int32")
        golden = np.asarray([0, 0x9E3779B9], "uint32").view("int32")
        seeds = seeds + ops.cast(numbers, "int32")[None, :, None] * ops.convert_to_tensor(golden)
        seeds = ops.reshape(seeds, (-1, 2))
        return rng.RowNoise(seeds, self.compute_dtype).normal(self.posterior.latent_shape)

    def draw_of_noise(
        self,
        noise: Tensor,
        x: Tensor,
        context: Tensor,
        condition: Tensor | None = None,
        training: bool = False,
    ) -> Draw:
        """z of noise `[n, *noise_shape]`, for rows and their contexts."""
        z, log_posterior = self.posterior.generate_and_log_density(noise, context)
        parameters = self.parameters(z, condition, training)
        log_likelihood = self.likelihood.log_prob(x, parameters) + zero_or_nan(x, x.dtype)
        return Draw(z, log_likelihood, log_posterior)

    def location(self, context: Tensor) -> Tensor:
        """z of noise zero, `[batch, *latent_shape]`: the mean of a Gaussian posterior."""
        rows = ops.shape(context)[0]
        zeros = ops.zeros((rows, *self.posterior.latent_shape), self.compute_dtype)
        return self.posterior.generate(zeros, context)

    def _forward(self, x, condition=None, training=False):
        context = self.context(x, condition, training)
        noise = self.noise(x, training)
        draw = self.draw_of_noise(noise, x, context, condition, training)
        return draw.z, draw.log_likelihood - draw.log_posterior

    def _inverse(self, z, condition=None, training=False):
        raise ValueError(
            "A VAE does not know the posterior's density of a z that it did not draw with an x: "
            "take `decode(z)` for x, and `elbo(x)` or `log_prob(x)` for densities"
        )

    def _inverse_alone(self, z, condition=None, training=False):
        return self.likelihood.mean(self.parameters(z, condition, training))

    def draw_data(
        self, z: Tensor, noise: rng.BatchNoise | rng.RowNoise, condition: Tensor | None = None
    ) -> Tensor:
        """x ~ p(x | z), `[batch, *event]`."""
        return self.likelihood.draw(self.parameters(z, condition), noise)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        posterior = self._given.posterior
        if isinstance(posterior, list | tuple):
            posterior = [serialize(layer) for layer in posterior]
        elif posterior is not None and not isinstance(posterior, str):
            posterior = serialize(posterior)
        return {
            **super().get_config(),
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "latent_shape": self.latent_shape,
            "posterior": posterior,
            "likelihood": serialize(self.likelihood),
            "seed": self.seed,
        }


def _built(network, name, shape) -> tuple[int, ...]:
    """Shape of one output of a network, built for inputs of `shape`."""
    try:
        if not network.built:
            network.build(shape)
        output = network.compute_output_shape(shape)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The {name} does not take inputs of shape {('batch', *shape[1:])}: {error}"
        ) from error
    if None in output[1:]:
        raise ValueError(f"The {name} must give a fixed shape. Received: {output}")
    return tuple(output[1:])
