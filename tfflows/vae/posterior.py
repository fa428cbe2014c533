"""q(z | x) of a VAE: a Gaussian given the encoder's context, and flow layers after it."""

from typing import Any

import keras

from tfflows.layers import ConditionalAffine, FlowLayer, Invert
from tfflows.training.density import Density
from tfflows.vae.posteriors import find_posterior


@keras.saving.register_keras_serializable(package="tfflows")
class Posterior(Density):
    """The posterior of a VAE as a conditional density of z, sampled from noise.

        noise ~ N(0, 1);  z_0 = mean(context) + scale(context) noise;  z = inverse of layers(z_0)
        log q(z | x) = log N(noise; 0, 1) + log |det d noise / dz|

    (Rezende and Mohamed 2015, equation 13, https://arxiv.org/abs/1505.05770.) Layers run from z to
    noise, as everywhere: where only one direction of a layer has a closed form, it must be
    `inverse`, as in InverseAutoregressive and `Invert(Planar())`.
    """

    @classmethod
    def make(
        cls,
        posterior: Any,
        latent_shape: tuple[int, ...],
        context_shape: tuple[int, ...],
        dtype: str = "float32",
    ) -> Density:
        """The posterior for latents and contexts of these shapes.

        Args:
            posterior: None or [] for a diagonal Gaussian; a name of `POSTERIORS`; layers from z to
                the Gaussian; or a flow with this event shape, whose condition is the context, and
                which then is all.
            latent_shape: shape of one z.
            context_shape: shape of one output of the encoder.
            dtype: float32 or float64.

        Raises:
            ValueError: there is no such name, a flow has other shapes, or its draws are not smooth
                in its parameters.
        """
        if isinstance(posterior, Density):
            if posterior.event_shape != latent_shape or posterior.condition_shape != context_shape:
                raise ValueError(
                    f"Expected a posterior with event_shape={latent_shape}, the VAE's latent_shape,"
                    f" and condition_shape={context_shape}, the encoder's output. Received: "
                    f"{posterior.event_shape} and {posterior.condition_shape}"
                )
            if not posterior.base.is_reparameterized:
                raise ValueError(
                    "Expected a posterior whose draws are smooth in its parameters, which gradients"
                    f" go through. Received: the base {type(posterior.base).__name__}"
                )
            return posterior
        if isinstance(posterior, str):
            posterior = find_posterior(posterior)(dtype=dtype)
        layers = [posterior] if isinstance(posterior, FlowLayer) else list(posterior or ())
        gaussian = Invert(ConditionalAffine("soft_clip", dtype=dtype), name="gaussian")
        return cls([*layers, gaussian], latent_shape, condition_shape=context_shape, dtype=dtype)
