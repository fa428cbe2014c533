"""Path gradients: the reverse KL divergence without the score term of its gradient."""

import dataclasses

import keras
from keras import ops

from tfflows.training.reverse_kl import ReverseKL


@dataclasses.dataclass(frozen=True, eq=False)
class PathGradient(ReverseKL):
    """The loss of `ReverseKL`, whose gradient goes through the draws only.

        gradient = mean of d(log q(x) - weight log_density(x))/dx dx/dparameters,  x = inverse(z)

    (Roeder et al. 2017, "Sticking the landing", https://arxiv.org/abs/1703.09194; Vaitl et al.
    2022, for flows, https://arxiv.org/abs/2207.08219 and https://arxiv.org/abs/2206.09016.) What it
    leaves out is the score d log q(x)/dparameters, whose mean is 0 and whose variance is not: this
    gradient is unbiased too, and where q is the density it is 0 for every draw instead of on
    average. It takes one pass through the flow in each direction, about twice the time. While the
    flow is far from the density its variance may be the larger one.

    Example:
        flow.compile("adam")
        flow.fit_to_density(log_density, objective="path_gradient")

    Args:
        log_density, num_draws, condition, annealing_steps, seed: those of `ReverseKL`.
    """

    def terms(self, density, batch, training):
        condition = density.check_condition(self.condition, self.num_draws)
        z = density.draw_latents(self.num_draws, batch["seed"][0], 1.0, condition)
        x = density.generate(z, condition)
        # All variables: a scope inside of Keras' own would read the others as they were before.
        frozen = [(each, ops.stop_gradient(each.value)) for each in density.variables]
        with keras.StatelessScope(state_mapping=frozen):
            log_prob = density.log_density(x, condition)
        log_density = ops.cast(self.log_density(x), log_prob.dtype)
        weight = ops.cast(batch["weight"][0], log_prob.dtype)
        return x, [log_prob, -weight * log_density]
