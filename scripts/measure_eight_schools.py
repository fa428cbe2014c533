"""A flow as the surrogate posterior of the eight schools, beside a long chain of NUTS.

    python scripts/measure_eight_schools.py --seed 0

`tfp.vi.fit_surrogate_posterior` trains the flow, `tfp.mcmc.NoUTurnSampler` draws the reference.
Writes one line of JSON per parameter: means and standard deviations by NUTS with their standard
errors, by the flow's own draws, and by weighted draws. The parameters are mu, log tau and the
offsets (theta_j - mu) / tau, which both move in, and the effects theta_j, in points of the test.
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
    parser.add_argument("--steps", type=int, default=4000, help="of training")
    parser.add_argument("--draws", type=int, default=256, help="per step")
    parser.add_argument("--chains", type=int, default=256)
    parser.add_argument("--results", type=int, default=2000, help="draws per chain")
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
    draws = importance(flow, target, 1_000_000, seed=arguments.seed, batch_size=50_000)
    x = all_parameters(target, tf.constant(draws.x)).numpy().astype("float64")
    compare(x, np.exp(draws.log_weights - draws.log_weights.max()), chains)


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
    draws = importance(flow, target, 50_000, seed=arguments.seed + 1)
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


def compare(x, weights, chains):
    """One line of JSON per parameter, and the largest differences, without and with weights.

    Args:
        x: draws of the flow `[n, parameters]`.
        weights: theirs, `[n]`.
        chains: the reference.
    """
    reference = chains.x.reshape(-1, len(NAMES)).astype("float64")
    mean, std = reference.mean(axis=0), reference.std(axis=0)
    squares = np.square(chains.x - mean)
    ess = tfp.mcmc.effective_sample_size(
        squares, filter_beyond_positive_pairs=True, cross_chain_dims=1
    )
    columns = {
        "nuts_mean": mean,
        "its_error": std / np.sqrt(chains.ess),
        "nuts_std": std,
        "error_of_std": squares.std(axis=(0, 1)) / np.sqrt(ess) / (2 * std),
        "flow_mean": x.mean(axis=0),
        "flow_std": x.std(axis=0),
    }
    columns["weighted_mean"] = np.average(x, axis=0, weights=weights)
    deviations = np.square(x - columns["weighted_mean"])
    columns["weighted_std"] = np.sqrt(np.average(deviations, axis=0, weights=weights))
    for i, name in enumerate(NAMES):
        write({"parameter": name, **{column: float(v[i]) for column, v in columns.items()}})
    for of, part in (("event", slice(0, 10)), ("theta", slice(10, 18))):
        line = {"largest_difference_of": of}
        for way in ("flow", "weighted"):
            for moment, right in (("mean", mean), ("std", std)):
                difference = np.abs(columns[f"{way}_{moment}"] - right)[part]
                line[f"{way}_{moment}"] = float(difference.max())
        write(line)


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
