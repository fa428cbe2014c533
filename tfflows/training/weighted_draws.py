"""Objectives that weigh the flow's own draws by the density: they cover modes where draws fall."""

import dataclasses

from keras import ops

from tfflows.training.reverse_kl import ReverseKL


@dataclasses.dataclass(frozen=True, eq=False)
class ForwardKL(ReverseKL):
    """KL(p || flow), estimated by draws of the flow that importance weights correct.

        loss = -sum over draws of W log q(x),  W = w / sum of w,  w = p(x) / q(x)

    where only the log q has a gradient (Müller et al. 2019, https://arxiv.org/abs/1808.03856,
    section 5). Its expectation is that of `fit` on draws of p, with a bias of order 1 / draws. A
    mode in which the flow never draws is lost here too; one in which it draws now and then grows.
    The weights' variance is infinite where the flow's tails are lighter than those of p: begin
    wide.

    Args:
        log_density, num_draws, condition, annealing_steps, seed: those of `ReverseKL`.
    """

    power = 1.0  # of the weights
    needs_finite_densities = False

    def check(self, density):
        self.check_real(density)

    def terms(self, density, batch, training):
        condition = density.check_condition(self.condition, self.num_draws)
        z = density.draw_latents(self.num_draws, batch["seed"][0], 1.0, condition)
        x = ops.stop_gradient(density.generate(z, condition))
        log_prob = density.log_density(x, condition)
        log_density = ops.cast(self.log_density(x), log_prob.dtype)
        weight = ops.cast(batch["weight"][0], log_prob.dtype)
        log_weights = weight * log_density - ops.stop_gradient(log_prob)
        shares = ops.stop_gradient(ops.softmax(self.power * log_weights))
        return x, [-self.num_draws * shares * log_prob]


@dataclasses.dataclass(frozen=True, eq=False)
class Alpha2(ForwardKL):
    """The alpha divergence of order 2, the mean of (p / q)^2 under q, by draws of q.

        loss = -sum over draws of W log q(x),  W = w^2 / sum of w^2,  w = p(x) / q(x)

    whose gradient is that of the log of the mean of w^2 (Midgley et al. 2023, equation 4,
    https://arxiv.org/abs/2208.01893). The mean of w^2 is also one over the effective sample size:
    this objective trains that. Its own draws estimate it well only near p: `energies.FAB` takes
    draws of annealed importance sampling instead.

    Args:
        log_density, num_draws, condition, annealing_steps, seed: those of `ReverseKL`.
    """

    power = 2.0
