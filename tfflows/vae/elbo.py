"""The evidence lower bound as an objective, whose KL term may be warmed up."""

import dataclasses

import keras
from keras import ops

from tfflows.backend.tensor_ops import batch_mean
from tfflows.training.objective import Objective


@keras.saving.register_keras_serializable(package="tfflows")
@dataclasses.dataclass(frozen=True)
class ELBO(Objective):
    """The negative evidence lower bound of a VAE, in nats.

        loss = -log p(x | z) + weight (log q(z | x) - log p(z)),  z ~ q(z | x)

    The weight rises linearly to 1 over the first steps (Bowman et al. 2016; Sønderby et al. 2016),
    and is 0 where the mean KL of a batch is below the free bits (Kingma et al. 2016, appendix C.8).
    Both act on gradients only: the loss that is logged is the whole bound.

    Args:
        kl_warmup_steps: steps over which the weight rises from 0 to 1.
        free_bits: nats of KL per row that are not penalised.
    """

    kl_warmup_steps: int = 0
    free_bits: float = 0.0

    is_likelihood = True

    def __post_init__(self):
        for name in ("kl_warmup_steps", "free_bits"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"{name} must be a number from 0. Received: {value!r}")

    def check(self, density):
        if not hasattr(density, "draw_bound"):
            raise ValueError(
                f"The objective ELBO trains a VAE. Received: a {type(density).__name__}"
            )

    def terms(self, density, batch, training):
        draw, kl = density.draw_bound(batch.x, batch.condition, training)
        if not training:
            return draw.z, [-draw.log_likelihood, kl]
        weight = density.kl_weight(self.kl_warmup_steps)
        if self.free_bits:
            weight = weight * ops.cast(batch_mean(kl) > self.free_bits, kl.dtype)
        return draw.z, [-draw.log_likelihood, weight * kl, ops.stop_gradient((1 - weight) * kl)]

    def get_config(self) -> dict:
        """The arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict) -> "ELBO":
        """The objective of a config."""
        return cls(**config)
