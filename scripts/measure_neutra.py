"""Effective samples per gradient of NeuTra and of plain HMC on the funnel.

    python scripts/measure_neutra.py --flow iaf --seed 0
    python scripts/measure_neutra.py --flow none --seed 0

All are `tfp.mcmc.HamiltonianMonteCarlo`, with the same adaptation of the step size. Plain chains
start at exact draws. Writes one line of JSON per sampler. The effective sample size says nothing
where R-hat is far from 1: `share_in_neck`, of draws with v below -5, is exactly 0.0478.
"""

import argparse
import json
import resource

import keras
import numpy as np
from keras import ops

import tfflows
from tfflows.energies import Funnel, importance
from tfflows.tfp import Chains, hmc_chains, neutra

DIMS = 10
FLOWS = {
    "iaf": lambda: tfflows.models.IAF((DIMS,), 2, (64, 64), normalization=None),
    "realnvp": lambda: tfflows.models.RealNVP((DIMS,), 6, (64, 64), normalization=None),
    "nsf": lambda: tfflows.models.NSF(
        (DIMS,), num_steps=3, hidden_units=32, num_blocks=1, bound=10.0
    ),
}
# (leapfrog steps per proposal, acceptance that the step size adapts to)
SETTINGS = {"neutra": [(2, 0.8), (4, 0.8)], "plain": [(8, 0.8), (32, 0.8), (32, 0.95), (128, 0.99)]}


def main():
    """Train the flow, run the chains, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--flow", choices=[*FLOWS, "none"], default="iaf", help="none: plain HMC")
    parser.add_argument(
        "--objective", choices=["reverse_kl", "path_gradient"], default="reverse_kl"
    )
    parser.add_argument("--steps", type=int, default=4000, help="of training")
    parser.add_argument("--results", type=int, default=1000, help="draws per chain")
    parser.add_argument("--chains", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    target = Funnel(DIMS)
    flow = None
    if arguments.flow != "none":
        flow = trained(target, arguments)
    start = ops.convert_to_tensor(target.sample(arguments.chains, seed=arguments.seed))
    for num_leapfrog, acceptance in SETTINGS["neutra" if flow else "plain"]:
        options = {
            "num_results": arguments.results,
            "num_burnin_steps": arguments.results // 2,
            "num_leapfrog": num_leapfrog,
            "target_acceptance": acceptance,
            "seed": arguments.seed,
        }
        before = cpu_seconds()
        if flow is None:
            chains = hmc_chains(target, start, **options)
        else:
            chains = neutra(flow, target, arguments.chains, **options)
        report(arguments.flow, num_leapfrog, acceptance, chains, cpu_seconds() - before)


def trained(target, arguments):
    """A flow of the target."""
    before = cpu_seconds()
    flow = FLOWS[arguments.flow]()
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, arguments.steps)
    flow.compile(keras.optimizers.Adam(schedule, clipnorm=1.0))
    flow.fit_to_density(
        target,
        arguments.steps // 100,
        100,
        1024,
        seed=arguments.seed,
        objective=arguments.objective,
        verbose=0,
    )
    draws = importance(flow, target, 20_000, seed=arguments.seed)
    line = {"flow": arguments.flow, "training_cpu_seconds": cpu_seconds() - before}
    write({**line, "ess_of_weights": draws.ess, "log_z": draws.log_z})
    return flow


def report(flow: str, num_leapfrog: int, target_acceptance: float, chains: Chains, seconds: float):
    """One line of JSON."""
    v = chains.x[..., 0]
    write(
        {
            "flow": flow,
            "num_leapfrog": num_leapfrog,
            "target_acceptance": target_acceptance,
            "ess_per_gradient": chains.ess_per_gradient,
            "ess_of_v": float(chains.ess[0]),
            "smallest_ess": float(chains.ess.min()),
            "largest_r_hat": float(chains.r_hat.max()),
            "acceptance": chains.acceptance,
            "step_size": chains.step_size,
            "gradients": chains.num_gradients,
            "mean_of_v": float(np.mean(v)),
            "its_error": float(3 / chains.ess[0] ** 0.5),  # whose exact spread is 3
            "spread_of_v": float(np.std(v)),
            "share_in_neck": float(np.mean(v < -5)),
            "cpu_seconds": seconds,
        }
    )


def cpu_seconds() -> float:
    """Of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def write(line: dict) -> None:
    """One line of JSON."""
    rounded = {k: round(x, 6) if isinstance(x, float) else x for k, x in line.items()}
    print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
