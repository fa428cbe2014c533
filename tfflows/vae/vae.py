"""VAE: a variational autoencoder whose posterior and prior may be flows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.distributions import Distribution, StandardNormal
from tfflows.layers import FlowLayer
from tfflows.models.published_flow import PublishedFlow
from tfflows.training.chunks import in_chunks
from tfflows.training.density import Density
from tfflows.vae.active_units import ActiveUnits, WarnOfCollapse
from tfflows.vae.elbo import ELBO
from tfflows.vae.flow_prior import FlowPrior
from tfflows.vae.likelihoods import Likelihood
from tfflows.vae.vamp_prior import VampPrior
from tfflows.vae.variational import Draw, Variational

MAX_PARAMETERS = 2**22  # of elements of x, in one call of the importance-weighted bound
MAX_ROWS = 4096  # rows times draws in one call
LOCATED_ROWS = 10  # of a training batch, whose posterior means are looked at


@keras.saving.register_keras_serializable(package="tfflows")
class VAE(PublishedFlow):
    """A variational autoencoder on the contract of flows (Kingma and Welling 2014).

        log p(x) >= E_q [log p(x | z) + log p(z) - log q(z | x)]

    (https://arxiv.org/abs/1312.6114.) `fit`, `evaluate`, `sample`, `save` and `export` are those of
    `Flow`. Where a flow logs its nll a VAE logs the bound on it; beside it stand `kl` in nats and
    `active_units`. In float32 or float64 as a whole.

    Args:
        encoder: a Keras layer or model from x `[batch, *event_shape]` to a context; see
            `MLPEncoder` and `ConvEncoder`. It receives pixels divided by their largest value, and a
            condition on their last axis.
        decoder: a Keras layer or model from z `[batch, *latent_shape]` to features; see
            `MLPDecoder` and `ConvDecoder`. A last dense layer of the VAE makes parameters of them.
        event_shape: shape of one example, without its batch axis.
        latent_shape: shape of one z.
        posterior: None for a diagonal Gaussian given the context; a name of
            `tfflows.vae.POSTERIORS` ("planar", "sylvester", "iaf", ...); layers from z to that
            Gaussian, whose parameters may come from the context; or a conditional flow with
            `event_shape=latent_shape` and the encoder's output as its condition.
        prior: a distribution or a flow over z; standard normal by default.
        likelihood: "bernoulli", "categorical", "discretized_logistic", "gaussian", or a
            `tfflows.vae` likelihood with arguments of its own.
        condition_shape: shape of one condition, or None.
        preprocessing: layers that real data go through before the encoder.

    A SavedModel has the signatures of every flow, where log_prob is the bound by one draw and
    encode gives the centre of the posterior, and elbo, which is the same bound, and reconstruct.

    Example:
        vae = tfflows.vae.VAE(
            tfflows.vae.MLPEncoder((300, 300)),
            tfflows.vae.MLPDecoder((300, 300)),
            event_shape=(28, 28, 1),
            latent_shape=(40,),
            posterior="iaf",
        )
        vae.compile("adam", kl_warmup_steps=1000)
        vae.fit(binary_images, epochs=10)
        vae.elbo(binary_images), vae.log_prob(binary_images, num_draws=100)  # [n] both
    """

    own_signatures: Mapping = {
        "elbo": ("log_density", "elbo"),
        "reconstruct": ("reconstruction", "x"),
    }
    is_bijective = False

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        event_shape: Sequence[int],
        latent_shape: Sequence[int],
        posterior: Density | FlowLayer | Sequence[FlowLayer] | str | None = None,
        prior: Distribution | Density | None = None,
        likelihood: str | Likelihood = "bernoulli",
        condition_shape: Sequence[int] | None = None,
        preprocessing: Sequence[FlowLayer] | None = None,
        **kwargs,
    ):
        if isinstance(prior, Density):
            prior = FlowPrior(prior, dtype=prior.dtype_policy)
        dtype = kwargs.get("dtype")
        layer = Variational(encoder, decoder, latent_shape, posterior, likelihood, dtype=dtype)
        if isinstance(prior, VampPrior):
            prior.bind(layer)
        preprocessing = list(preprocessing or ())
        if layer.likelihood.is_discrete and preprocessing:
            raise ValueError(
                "preprocessing is for real data, with the likelihood 'gaussian'. Received: "
                f"{type(layer.likelihood).__name__}, whose data stay as they are"
            )
        layers = [*preprocessing, layer]
        prior = StandardNormal(dtype=dtype) if prior is None else prior
        super().__init__(layers, event_shape, prior, condition_shape, **kwargs)

    def build(self, input_shape):
        if not self.built:
            self._kl_metric = keras.metrics.Mean(name="kl")
            # Each replica counts its own: a count of all would have to meet in the forward pass.
            self._training_steps = keras.Variable(
                0.0,
                dtype="float32",
                trainable=False,
                aggregation="only_first_replica",
                synchronization="on_read",
                name="training_steps",
            )
            self._active_units = ActiveUnits(self.num_latents)
        super().build(input_shape)

    @property
    def _variational(self) -> Variational:
        return self.flow_layers[-1]  # pyright: ignore[reportReturnType]

    @property
    def num_latents(self) -> int:
        """Number of elements of one z."""
        return math.prod(self._variational.latent_shape)

    @property
    def likelihood(self) -> Likelihood:
        """What the decoder says of x."""
        return self._variational.likelihood

    @property
    def posterior(self) -> Density:
        """q(z | x) as a density of z given the encoder's output."""
        return self._variational.posterior

    @property
    def is_discrete(self) -> bool:
        """Whether the data are whole numbers, so that densities are masses."""
        return self.likelihood.is_discrete

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        *args: Any,
        kl_warmup_steps: int = 0,
        free_bits: float = 0.0,
        objective: Any = None,
        **kwargs: Any,
    ) -> None:
        """`Flow.compile`, with the arguments of the objective `ELBO`.

        Args:
            optimizer, args, kwargs: those of `Flow.compile`.
            kl_warmup_steps: steps over which the weight of the KL rises from 0 to 1.
            free_bits: nats of KL per row that are not penalised.
            objective: an `ELBO`, instead of these two.

        Raises:
            ValueError: another objective was given, or a number is negative.
        """
        if objective is None or objective == "likelihood":
            objective = ELBO(kl_warmup_steps, free_bits)
        if not isinstance(objective, ELBO):
            raise ValueError(f"A VAE is trained by an ELBO. Received: objective={objective!r}")
        super().compile(optimizer, *args, objective=objective, **kwargs)

    def draw_bound(
        self, x: Tensor, condition: Tensor | None, training: bool | None
    ) -> tuple[Draw, Tensor]:
        """A draw of z for each row, and log q(z | x) - log p(z) `[batch]`, in tensors.

        log p(x | z) has the log-dets of the preprocessing in it.
        """
        layer, training = self._variational, bool(training)
        x, log_det = self._preprocess(x, condition, training)
        context = layer.context(x, condition, training)
        noise = layer.noise(x, training)
        draw = layer.draw_of_noise(noise, x, context, condition, training)
        kl = draw.log_posterior - self.base(draw.z, condition=condition)
        located = context[:LOCATED_ROWS] if training else context
        self._kl, self._location = kl, layer.location(ops.stop_gradient(located))
        return draw._replace(log_likelihood=draw.log_likelihood + log_det), kl

    def _preprocess(self, x, condition, training=False):
        x = ops.cast(x, self.compute_dtype)
        log_det = ops.zeros((ops.shape(x)[0],), self.compute_dtype)
        return self._through(self.flow_layers[:-1], x, log_det, condition, training)

    def kl_weight(self, warmup_steps: int) -> Tensor:
        """The weight of the KL in this training step, which it counts."""
        self._training_steps.assign_add(1.0)
        if not warmup_steps:
            return ops.ones((), self.compute_dtype)
        share = ops.convert_to_tensor(self._training_steps) / warmup_steps
        return ops.cast(ops.minimum(share, 1.0), self.compute_dtype)

    def evaluation_objective(self):
        """The whole bound."""
        return ELBO()

    def _update_metrics(self, nll, sample_weight):
        super()._update_metrics(nll, sample_weight)
        self._kl_metric.update_state(self._kl, sample_weight)
        self._active_units.update_state(ops.stop_gradient(self._location))

    def fit(self, x: Any = None, y: Any = None, *args, **kwargs) -> keras.callbacks.History:
        """`Flow.fit`; warns where less than 5 % of the latents vary with the data in the end."""
        callbacks = kwargs.get("callbacks") or []
        if not isinstance(callbacks, list | tuple):
            callbacks = [callbacks]
        kwargs["callbacks"] = [*callbacks, WarnOfCollapse()]
        return super().fit(x, y, *args, **kwargs)

    def elbo(
        self, x: Tensor, condition: Tensor | None = None, *, batch_size: int | None = None
    ) -> Tensor:
        """The evidence lower bound of x in nats by one draw of z per row, `[batch]`.

        Args:
            x: data `[batch, *event_shape]`.
            condition: conditions, or one row for all, where the VAE is conditional.
            batch_size: rows at a time; None takes all at once.
        """
        arguments = self._check_call(x, condition)
        return self._run_in_chunks(self.log_density, batch_size, *arguments)

    def log_prob(
        self,
        x: Tensor,
        condition: Tensor | None = None,
        num_draws: int = 5000,
        *,
        batch_size: int | None = None,
    ) -> Tensor:
        """The importance-weighted bound on log p(x | condition) in nats, `[batch]`.

        log mean_k p(x, z_k) / q(z_k | x), z_k ~ q(z | x)  (Burda et al. 2016, equation 8,
        https://arxiv.org/abs/1509.00519). In expectation it rises with the draws, to log p(x). The
        noise of a row follows from the row, so that the same x has the same answer.

        Args:
            x, condition: as in `elbo`.
            num_draws: draws of z per row; 1 gives the evidence lower bound.
            batch_size: rows at a time; by default as many as give about 4,096 draws a call.
        """
        if isinstance(num_draws, bool) or not isinstance(num_draws, int) or num_draws < 1:
            raise ValueError(f"num_draws must be an integer from 1. Received: {num_draws!r}")
        x, condition = self._check_call(x, condition)

        def bound(x, condition=None):
            return self._bound(x, condition, num_draws)

        return in_chunks(bound, batch_size or max(1, MAX_ROWS // num_draws), x, condition)

    def _bound(self, x, condition, num_draws):
        """The importance-weighted bound of some rows, a few draws a call."""
        context, x, log_det = self._run(self._encoded, x, condition)
        rows = max(1, x.shape[0])
        size = rows * math.prod(x.shape[1:]) * self.likelihood.num_parameters
        per_call = max(1, min(num_draws, MAX_ROWS // rows, MAX_PARAMETERS // size))
        total = ops.full((x.shape[0],), -math.inf, self.compute_dtype)
        for start in range(0, num_draws, per_call):
            numbers = np.arange(start, min(start + per_call, num_draws), dtype="int32")
            numbers = ops.convert_to_tensor(numbers)
            weights = self._run(self._log_weights, context, x, numbers, condition)
            total = ops.logaddexp(total, ops.logsumexp(weights, axis=1))
        return total - math.log(num_draws) + log_det

    def _encoded(self, x, condition):
        x, log_det = self._preprocess(x, condition)
        return self._variational.context(x, condition), x, log_det

    def _log_weights(self, context, x, numbers, condition):
        """log p(x, z) - log q(z | x) of numbered draws, `[n, draws]`."""
        noise, count = self._variational.row_noise(x, numbers), ops.shape(numbers)[0]
        x, context = ops.repeat(x, count, axis=0), ops.repeat(context, count, axis=0)
        condition = None if condition is None else ops.repeat(condition, count, axis=0)
        draw = self._variational.draw_of_noise(noise, x, context, condition)
        prior = self.base(draw.z, condition=condition)
        weights = draw.log_likelihood + prior - draw.log_posterior
        return ops.reshape(weights, (-1, count))

    def latents(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What `encode` gives, in tensors: the centre of q(z | x), which is z of noise zero."""
        x, _ = self._preprocess(x, condition)
        return self._variational.location(self._variational.context(x, condition))

    def decode(
        self, z: Tensor, condition: Tensor | None = None, *, batch_size: int | None = None
    ) -> Tensor:
        """The mean of p(x | z), `[batch, *event_shape]`; the same as `inverse`.

        Args:
            z: `[batch, *latent_shape]`.
            condition, batch_size: as in `elbo`.
        """
        return self.inverse(z, condition, batch_size=batch_size)

    def reconstruct(
        self, x: Tensor, condition: Tensor | None = None, *, batch_size: int | None = None
    ) -> Tensor:
        """`decode(encode(x))`, `[batch, *event_shape]`.

        Args:
            x, condition, batch_size: as in `elbo`.
        """
        arguments = self._check_call(x, condition)
        return self._run_in_chunks(self.reconstruction, batch_size, *arguments)

    def reconstruction(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """`reconstruct` in tensors."""
        return self.generate(self.latents(x, condition), condition)

    def draw(
        self,
        noise: rng.BatchNoise | rng.RowNoise,
        condition: Tensor | None = None,
        temperature: float | Tensor = 1.0,
    ) -> Tensor:
        """x ~ p(x | z), z ~ p(z), from noise, in tensors."""
        z = self.base.draw(noise, condition, temperature)
        x = self._variational.draw_data(z, noise, condition)
        for layer in self.flow_layers[-2::-1]:
            x = layer.inverse(x, condition)
        return x

    def sample(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
        *,
        batch_size: int | None = None,
    ) -> Tensor:
        """Draw data `[num_samples, *event_shape]`: z from the prior, x from p(x | z).

        For means of x instead of draws: `vae.decode(vae.base.sample(n, seed=0))`.

        Args:
            num_samples, condition, seed, temperature, batch_size: as in `Flow.sample`; the
                temperature is that of the prior. A seed gives the same samples on every backend.
        """
        count, seed, scale, condition = self._check_draw(num_samples, condition, seed, temperature)
        seeds = ops.convert_to_numpy(self._seeds_of_rows(count, seed))

        def draw(seeds, condition=None):
            return self._run(self.draw_rows, seeds, scale, condition)

        return in_chunks(draw, batch_size, ops.convert_to_tensor(seeds), condition)

    @staticmethod
    def _seeds_of_rows(count, seed):
        """An int32 seed `[count, 2]` of each row, from one `[2]`."""
        rows = ops.arange(count, dtype="int32")
        seed = ops.cast(seed, "int32")
        return ops.stack([ops.broadcast_to(seed[0], (count,)), seed[1] + rows], axis=1)

    def batch_noise(self, num_samples: int | Tensor, seed: Tensor) -> rng.RowNoise:
        """The noise of `sample`: rows of their own seeds, so that chunks draw the same."""
        return rng.RowNoise(self._seeds_of_rows(num_samples, seed), self.compute_dtype)

    def draw_rows(
        self, seeds: Tensor, temperature: float | Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """x of rows that depend on their own seeds `[n, 2]` alone, in tensors."""
        return self.draw(rng.RowNoise(seeds, self.compute_dtype), condition, temperature)

    def sample_and_log_prob(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
        *,
        batch_size: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw data as `sample` does, with their evidence lower bounds `[num_samples]`."""
        x = self.sample(num_samples, condition, seed, temperature, batch_size=batch_size)
        return x, self.elbo(x, condition, batch_size=batch_size)
