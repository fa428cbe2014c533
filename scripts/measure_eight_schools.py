"""A flow as the surrogate posterior of the eight schools, beside a long chain of NUTS.

    python scripts/measure_eight_schools.py --seed 0

`tfp.vi.fit_surrogate_posterior` trains the flow, `tfp.mcmc.NoUTurnSampler` draws the reference.
Writes one line of JSON per parameter: means and standard deviations by the flow's own draws and by
NUTS, with the standard errors of the latter. The parameters are mu, log tau, the offsets
(theta_j - mu) / tau, which both move in, and the effects theta_j, in points of the test.
"""

import argparse
import json
import resource

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfflows
from tfflows.energies import EightSchools, importance
from tfflows.tfp import as_distribution, hmc_chains

NAMES = ["mu", "log_tau", *(f"offset_{j}" for j in range(8)), *(f"theta_{j}" for j in range(8))]


def main():
    """Train, sample, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=3000, help="of training")
    parser.add_argument("--draws", type=int, default=256, help="per step")
    parser.add_argument("--chains", type=int, default=256)
    parser.add_argument("--results", type=int, default=600, help="draws per chain")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    target = EightSchools()
    flow = trained(target, arguments)
    before = cpu_seconds()
    start = np.random.default_rng(arguments.seed).standard_normal((arguments.chains, 10))
    chains = hmc_chains(
        target,
        tf.constant(start, "float32"),
        arguments.results,
        300,
        method="nuts",
        seed=arguments.seed,
        observe=lambda x: all_parameters(target, x),
    )
    write(
        {
            "nuts_cpu_seconds": cpu_seconds() - before,
            "smallest_ess": float(chains.ess.min()),
            "largest_r_hat": float(chains.r_hat.max()),
            "acceptance": chains.acceptance,
        }
    )
    x = np.concatenate(
        [
            all_parameters(target, flow.sample(100_000, seed=10 * arguments.seed + i))
            for i in range(10)
        ]
    )
    compare(x.astype("float64"), chains)


def trained(target, arguments):
    """The surrogate posterior."""
    before = cpu_seconds()
    flow = tfflows.models.NSF((10,), num_steps=3, hidden_units=32, num_blocks=1, bound=6.0)
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, arguments.steps)
    losses = tfp.vi.fit_surrogate_posterior(
        target,
        as_distribution(flow),
        keras.optimizers.Adam(schedule, clipnorm=5.0),
        arguments.steps,
        sample_size=arguments.draws,
        seed=arguments.seed,
    )
    draws = importance(flow, target, 50_000, seed=arguments.seed)
    write(
        {
            "training_cpu_seconds": cpu_seconds() - before,
            "first_losses": float(np.mean(losses[:50])),
            "last_losses": float(np.mean(losses[-50:])),
            "ess_of_weights": draws.ess,
        }
    )
    return flow


def all_parameters(target, x):
    """`NAMES` of events x `[batch, 10]`."""
    return tf.concat([x, target.schools(x)], axis=-1)


def compare(x, chains):
    """One line of JSON per parameter, and the largest differences."""
    reference = chains.x.reshape(-1, len(NAMES)).astype("float64")
    mean, std = reference.mean(axis=0), reference.std(axis=0)
    mean_error = std / np.sqrt(chains.ess)
    squares = np.square(chains.x - mean)
    ess = tfp.mcmc.effective_sample_size(
        squares, filter_beyond_positive_pairs=True, cross_chain_dims=1
    )
    std_error = squares.std(axis=(0, 1)) / np.sqrt(ess) / (2 * std)
    columns = (x.mean(axis=0), mean, mean_error, x.std(axis=0), std, std_error)
    names = ("flow_mean", "nuts_mean", "its_error", "flow_std", "nuts_std", "error_of_std")
    for i, name in enumerate(NAMES):
        write({"parameter": name, **{k: float(v[i]) for k, v in zip(names, columns, strict=True)}})
    differences = np.abs(x.mean(axis=0) - mean), np.abs(x.std(axis=0) - std)
    for label, part in (("event", slice(0, 10)), ("theta", slice(10, 18))):
        write(
            {
                "of": label,
                "largest_difference_of_means": float(differences[0][part].max()),
                "largest_difference_of_stds": float(differences[1][part].max()),
                "largest_relative_difference": float((np.maximum(*differences) / std)[part].max()),
            }
        )


def cpu_seconds() -> float:
    """Of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def write(line: dict) -> None:
    """One line of JSON."""
    rounded = {k: round(x, 5) if isinstance(x, float) else x for k, x in line.items()}
    print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
