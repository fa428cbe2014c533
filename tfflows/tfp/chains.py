"""Hamiltonian Monte Carlo of TensorFlow Probability, many chains at once, and what it cost."""

import dataclasses
import warnings
from collections.abc import Callable

import keras
import numpy as np

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor
from tfflows.tfp.substrate import probability


@dataclasses.dataclass(frozen=True, eq=False)
class Chains:
    """Draws of Markov chains.

    Attributes:
        x: draws `[num_results, num_chains, *event]`.
        ess: effective sample size of each element's mean over all chains, `[*event]`.
        r_hat: potential scale reduction of each element, `[*event]`: near 1 where chains agree.
        acceptance: mean probability of acceptance.
        step_size: of the leapfrog, after adaptation.
        num_gradients: gradients of the log-density that the kept draws took, over all chains.
    """

    x: np.ndarray
    ess: np.ndarray
    r_hat: np.ndarray
    acceptance: float
    step_size: float
    num_gradients: int

    @property
    def ess_per_gradient(self) -> float:
        """The smallest effective sample size over elements, per gradient."""
        return float(self.ess.min() / self.num_gradients)


def hmc_chains(
    log_prob: Callable[[Tensor], Tensor],
    start: Tensor,
    num_results: int = 1000,
    num_burnin_steps: int = 500,
    *,
    method: str = "hmc",
    step_size: float = 0.1,
    num_leapfrog: int = 8,
    max_tree_depth: int = 6,
    target_acceptance: float = 0.8,
    jit_compile: bool = False,
    seed: rng.Seed = None,
    observe: Callable[[Tensor], Tensor] | None = None,
) -> Chains:
    """Run `tfp.mcmc.HamiltonianMonteCarlo` or `NoUTurnSampler` in one graph, TensorFlow only.

    The step size adapts in the first four fifths of the burn-in (dual averaging, Hoffman and Gelman
    2014), towards `target_acceptance` on average over the chains.

    Args:
        log_prob: z `[chains, *event]` -> log-density `[chains]`, up to a constant.
        start: where the chains begin, `[chains, *event]`, at least two.
        num_results: draws kept per chain.
        num_burnin_steps: draws before those.
        method: "hmc" or "nuts".
        step_size: of the leapfrog at first.
        num_leapfrog: steps per proposal of "hmc".
        max_tree_depth: of "nuts": at most `2**max_tree_depth - 1` gradients per draw.
        target_acceptance: a higher one takes smaller steps, which enter narrower places.
        jit_compile: whether XLA compiles the graph. Chains of "hmc" then take half the time, after
            a few seconds more of compilation; "nuts" takes a minute to compile.
        seed: an integer; None draws one.
        observe: what to keep of the states, per chain; the states themselves by default.

    Raises:
        ImportError: TensorFlow Probability is missing or too old.
        ValueError: an argument is out of its range, the backend is not TensorFlow, there is one
            chain, or `log_prob` gives another shape, or NaN or +inf at the start.

    Warns:
        UserWarning: no proposal was accepted.
    """
    check_arguments(method, num_results, num_burnin_steps, target_acceptance)
    check_leapfrog(step_size, num_leapfrog, max_tree_depth)
    tfp = probability()
    import tensorflow as tf

    start = tf.convert_to_tensor(start)
    _check_start(log_prob, start)
    is_hmc = method == "hmc"
    kernel = (
        tfp.mcmc.HamiltonianMonteCarlo(log_prob, step_size, num_leapfrog)
        if is_hmc
        else tfp.mcmc.NoUTurnSampler(log_prob, step_size, max_tree_depth)
    )
    kernel = tfp.mcmc.DualAveragingStepSizeAdaptation(
        kernel, int(0.8 * num_burnin_steps), target_accept_prob=target_acceptance
    )

    def trace(state, results):
        inner = results.inner_results
        leapfrogs = tf.fill([1], num_leapfrog) if is_hmc else inner.leapfrogs_taken
        step = inner.accepted_results.step_size if is_hmc else inner.step_size
        acceptance = tf.exp(tf.minimum(inner.log_accept_ratio, 0.0))
        kept = state if observe is None else observe(state)
        return kept, tf.reduce_mean(acceptance), tf.cast(leapfrogs, "int64"), step

    @tf.function(jit_compile=jit_compile)
    def run(start, seed):
        _, traced = tfp.mcmc.sample_chain(
            num_results, start, None, kernel, num_burnin_steps, trace_fn=trace, seed=seed
        )
        ess = tfp.mcmc.effective_sample_size(
            traced[0], filter_beyond_positive_pairs=True, cross_chain_dims=1
        )
        return (*traced, ess, tfp.mcmc.potential_scale_reduction(traced[0], split_chains=True))

    x, acceptance, leapfrogs, steps, ess, r_hat = run(start, tf.constant(rng.make_seed(seed)))
    _warn_where_stuck(acceptance, steps)
    return Chains(
        x.numpy(),
        ess.numpy(),
        r_hat.numpy(),
        float(np.mean(acceptance)),
        float(np.ravel(steps[-1])[0]),
        int(np.sum(leapfrogs)) * (start.shape[0] if is_hmc else 1),
    )


def _warn_where_stuck(acceptance, steps):
    if not np.max(acceptance) > 0:
        warnings.warn(
            "No proposal was accepted: take a smaller step_size, or more num_burnin_steps to adapt "
            "it, and look whether log_prob or its gradient is NaN near the start. The step size at "
            f"the end was {np.ravel(steps[-1])[0]:.3g}",
            stacklevel=3,
        )


def check_arguments(
    method: str, num_results: int, num_burnin_steps: int, target_acceptance: float
) -> None:
    """Refuse what no chain can run with."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Chains of tfflows.tfp run on TensorFlow: set KERAS_BACKEND=tensorflow, or take "
            f"tfflows.energies.hmc. Received: {keras.backend.backend()}"
        )
    if method not in ("hmc", "nuts"):
        raise ValueError(f'method must be "hmc" or "nuts". Received: {method!r}')
    if num_results < 4 or num_burnin_steps < 0:
        raise ValueError(
            "num_results must be at least 4, and num_burnin_steps at least 0. "
            f"Received: {num_results!r} and {num_burnin_steps!r}"
        )
    if not 0 < target_acceptance < 1:
        raise ValueError(
            f"target_acceptance must be between 0 and 1. Received: {target_acceptance!r}"
        )


def check_leapfrog(step_size: float, num_leapfrog: int, max_tree_depth: int) -> None:
    """Refuse numbers that are too small."""
    for name, value in (("num_leapfrog", num_leapfrog), ("max_tree_depth", max_tree_depth)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1. Received: {value!r}")
    if not step_size > 0:
        raise ValueError(f"step_size must be above 0. Received: {step_size!r}")


def _check_start(log_prob, start):
    if not start.dtype.is_floating:
        raise ValueError(f"Expected a start of real numbers. Received: dtype {start.dtype.name}")
    if start.shape[0] < 2:
        raise ValueError(f"Expected at least 2 chains, for R-hat. Received: {start.shape[0]}")
    values = np.asarray(log_prob(start))
    if values.shape != (len(start),):
        raise ValueError(
            f"log_prob must map {tuple(start.shape)} to log-densities {(len(start),)}. "
            f"Received: {values.shape}"
        )
    wrong = np.flatnonzero(np.isnan(values) | (values == np.inf))
    if len(wrong):
        raise ValueError(
            f"Expected finite log-densities at the start. Received: {values[wrong[0]]} in chain "
            f"{wrong[0]} ({len(wrong)} of {len(values)} chains)"
        )
