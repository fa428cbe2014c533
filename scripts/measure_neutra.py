"""Effective samples per gradient of NeuTra and of plain HMC on the funnel.

    python scripts/measure_neutra.py --seed 0

Both are `tfp.mcmc.HamiltonianMonteCarlo` with the same adaptation of its step size, by several
numbers of leapfrog steps. Writes one line of JSON per sampler.
"""

import argparse
import json
import time

import keras
import numpy as np
from keras import ops

import tfflows
from tfflows.energies import Funnel
from tfflows.tfp import Chains, hmc_chains, neutra


def main():
    """Train the flow, run the chains, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dims", type=int, default=10)
    parser.add_argument("--steps", type=int, default=1500, help="of training")
    parser.add_argument("--results", type=int, default=1000, help="draws per chain")
    parser.add_argument("--chains", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    target = Funnel(arguments.dims)
    start = time.process_time()
    flow = trained(target, arguments.steps, arguments.seed)
    seconds = time.process_time() - start
    for leapfrogs in (4, 8):
        chains = neutra(
            flow,
            target,
            arguments.chains,
            arguments.results,
            arguments.results // 2,
            num_leapfrog=leapfrogs,
            seed=arguments.seed,
        )
        report("neutra", leapfrogs, chains, training_cpu_seconds=round(seconds, 1))
    exact = ops.convert_to_tensor(target.sample(arguments.chains, seed=arguments.seed))
    for leapfrogs in (8, 32, 128):
        chains = hmc_chains(
            target,
            exact,
            arguments.results,
            arguments.results // 2,
            num_leapfrog=leapfrogs,
            seed=arguments.seed,
        )
        report("plain", leapfrogs, chains)


def trained(target, steps, seed):
    """A RealNVP, by reverse KL."""
    flow = tfflows.models.RealNVP(target.event_shape, num_couplings=6, hidden_units=(64, 64))
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    flow.compile(keras.optimizers.Adam(schedule, clipnorm=5.0))
    flow.fit_to_density(target, steps // 100, 100, 256, annealing_steps=steps // 3, seed=seed)
    return flow


def report(sampler: str, leapfrogs: int, chains: Chains, **more):
    """One line of JSON."""
    v = chains.x[..., 0]
    line = {
        "sampler": sampler,
        "num_leapfrog": leapfrogs,
        "ess_per_gradient": chains.ess_per_gradient,
        "ess_of_v": float(chains.ess[0]),
        "smallest_ess": float(chains.ess.min()),
        "largest_r_hat": float(chains.r_hat.max()),
        "acceptance": chains.acceptance,
        "step_size": chains.step_size,
        "gradients": chains.num_gradients,
        "mean_of_v": float(np.mean(v)),
        "spread_of_v": float(np.std(v)),
        **more,
    }
    print(json.dumps({k: round(x, 6) if isinstance(x, float) else x for k, x in line.items()}))


if __name__ == "__main__":
    main()
