"""NeuTra: Hamiltonian Monte Carlo in the latent space of a flow (Hoffman et al. 2019)."""

from collections.abc import Callable

from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.flow import Flow
from tfflows.tfp.chains import Chains, hmc_chains
from tfflows.tfp.rows import as_condition


def neutra(
    flow: Flow,
    target_log_prob: Callable[[Tensor], Tensor],
    num_chains: int = 16,
    num_results: int = 1000,
    num_burnin_steps: int = 500,
    *,
    condition: Tensor | None = None,
    method: str = "hmc",
    step_size: float = 0.1,
    num_leapfrog: int = 8,
    max_tree_depth: int = 6,
    target_acceptance: float = 0.8,
    jit_compile: bool = False,
    seed: rng.Seed = None,
) -> Chains:
    """Draw from a density by chains in the latent space of a flow that was trained on it.

        log p(z) = target_log_prob(x(z)) + log |det dx/dz|

    A flow that fits makes a near-normal density of one with narrow and wide parts, where one step
    size and one metric fit everywhere. The draws are of the target, however well the flow fits; the
    fit decides how quickly they decorrelate. (https://arxiv.org/abs/1903.03704.)

    Args:
        flow: a flow of the target, for example by `fit_to_density`. Its weights stay as they are.
        target_log_prob: x `[chains, *event_shape]` -> log-density `[chains]`, up to a constant.
        num_chains: chains side by side, at least 2; they start at draws of the flow.
        num_results: draws kept per chain, after `num_burnin_steps` draws that adapt the step size.
        condition: one condition `condition_shape`, where the flow is conditional.
        method, step_size, num_leapfrog, max_tree_depth, target_acceptance, jit_compile, seed: as in
            `hmc_chains`.

    Returns:
        A `Chains`: draws in the units of the data, effective sample sizes, R-hat, acceptance.

    Raises:
        ImportError: TensorFlow Probability is missing or too old.
        ValueError: an argument or what the target returns does not fit, the flow is not a
            bijection, or the backend is not TensorFlow.

    Example:
        target = tfflows.energies.Funnel(10)
        flow.fit_to_density(target, 10, 100, seed=0)
        chains = tfflows.tfp.neutra(flow, target, seed=0)
        print(chains.ess, chains.r_hat, chains.acceptance)
    """
    if not isinstance(flow, Flow):
        raise ValueError(f"Expected a flow of tfflows. Received: {flow!r}")
    if flow.is_discrete or not flow.is_bijective:
        raise ValueError(f"neutra expects a flow that is a bijection. Received: {flow.name}")
    condition = as_condition(flow, condition)
    if condition is not None:
        single = flow.condition_shape or ()
        condition = ops.broadcast_to(condition, (num_chains, *single))

    def log_prob(z):
        x, log_det = flow.inverse_and_log_det(z, condition)
        log_p = target_log_prob(x)
        if tuple(log_p.shape) != (num_chains,):
            raise ValueError(
                f"target_log_prob must map x {tuple(x.shape)} to log-densities {(num_chains,)}. "
                f"Received: {tuple(log_p.shape)}"
            )
        return log_p + log_det

    first, second = (ops.convert_to_tensor(part) for part in _two_seeds(seed))
    return hmc_chains(
        log_prob,
        flow.draw_latents(num_chains, first, 1.0, condition),
        num_results,
        num_burnin_steps,
        method=method,
        step_size=step_size,
        num_leapfrog=num_leapfrog,
        max_tree_depth=max_tree_depth,
        target_acceptance=target_acceptance,
        jit_compile=jit_compile,
        seed=second,
        observe=lambda z: flow.generate(z, condition),
    )


def _two_seeds(seed):
    """For the start and for the chains."""
    noise = rng.BatchNoise(1, rng.make_seed(seed), "float32")
    return noise.next_seed(), noise.next_seed()
