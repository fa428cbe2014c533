"""A flow as the base of another model: the prior of a VAE, a VAE inside a flow's base."""

import keras

from tfflows.distributions import Distribution
from tfflows.training.density import Density


@keras.saving.register_keras_serializable(package="tfflows")
class FlowPrior(Distribution):
    """The density of a flow, or the bound of a VAE, as a base distribution.

        log p(z) = flow.log_density(z)

    Its weights train with those of the model that it stands in.

    Example:
        prior = tfflows.models.MAF(event_shape=(64,), num_layers=4)
        vae = tfflows.vae.VAE(..., latent_shape=(64,), prior=prior)  # the same as FlowPrior(prior)
        flow = tfflows.Flow([layers.Whiten()], (8,), base=tfflows.vae.FlowPrior(small_vae))

    Args:
        flow: with latents as its data. A condition of the model goes to it where it takes one.
    """

    def __init__(self, flow: Density, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(flow, Density):
            raise ValueError(f"Expected `flow` to be a tfflows flow. Received: {flow!r}")
        self.flow = flow
        self.is_reparameterized = flow.base.is_reparameterized and not flow.is_discrete

    def build(self, z_shape, condition_shape=None):
        super().build(z_shape, condition_shape)
        if self.flow.event_shape != self.event_shape:
            raise ValueError(
                f"Expected a flow with event_shape={self.event_shape}, that of the latents. "
                f"Received: {self.flow.event_shape}"
            )
        wanted = self.flow.condition_shape
        if wanted is not None and (condition_shape is None or tuple(condition_shape[1:]) != wanted):
            raise ValueError(
                f"The flow expects a condition of shape {wanted}. Received: a model whose "
                f"condition has shape {condition_shape and tuple(condition_shape[1:])}"
            )

    def _of_flow(self, condition):
        return None if self.flow.condition_shape is None else condition

    def _log_prob(self, z, condition):
        return self.flow.log_density(z, self._of_flow(condition))

    def _draw(self, noise, condition, temperature):
        return self.flow.draw(noise, self._of_flow(condition), temperature)

    def get_config(self):
        return {**super().get_config(), "flow": keras.saving.serialize_keras_object(self.flow)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("flow")), **config)
