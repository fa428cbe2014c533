"""Train flows on densities of many modes by FAB, and by reverse KL beside it.

    python scripts/train_wells.py many-well --objective fab --out runs/wells
    python scripts/train_wells.py mixture --objective reverse_kl --out runs/wells

Writes `OUT/TARGET-OBJECTIVE.weights.h5` and `OUT/TARGET-OBJECTIVE.json`: effective sample size, log
Z beside the exact one, the mean log-density of exact draws, and what shows lost modes: the mass of
each well of many-well-32, the number of modes of the mixture of 40 normals that 10,000 draws come
to.
"""

import argparse
import json
import math
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

import tfflows
from tfflows import energies

UNIT = 20.0  # of the mixture: the flow draws x / 20


def make_flow(dims, num_couplings, units, num_bins, bound):
    """Spline couplings whose halves change places."""
    return tfflows.models.NSF(
        (dims,),
        num_steps=num_couplings,
        hidden_units=units,
        num_blocks=1,
        num_bins=num_bins,
        bound=bound,
        linear="none",
        activation="silu",
        preprocessing=[],
    )


def make_many_well():
    """The density, its log-density in the flow's units, these units, the flow."""
    target = energies.ManyWell(32)
    return target, target, 1.0, make_flow(32, 4, 32, 8, 4.0)


def make_mixture():
    """As `make_many_well`."""
    target = energies.NormalMixture()

    def in_units(x):
        return target(UNIT * x) + 2 * math.log(UNIT)

    return target, in_units, UNIT, make_flow(2, 6, 64, 16, 4.0)


TARGETS = {"many-well": make_many_well, "mixture": make_mixture}


def train(flow, density, arguments):
    """Train with a rate that falls like a cosine; returns the log of each epoch."""
    steps = arguments.epochs * arguments.steps_per_epoch
    rate = keras.optimizers.schedules.CosineDecay(arguments.rate, steps)
    flow.compile(keras.optimizers.Adam(rate, clipnorm=10.0), jit_compile=True)
    objective, annealing = arguments.objective, 0
    if objective == "fab":
        objective = energies.FAB(
            num_draws=arguments.batch,
            steps_per_draw=arguments.steps_per_draw,
            num_steps=arguments.annealed_steps,
            step_size=arguments.step_size,
        )
    elif objective in ("reverse_kl", "path_gradient"):
        annealing = arguments.annealing_steps
    monitor = energies.Monitor(density, num_samples=4096)
    history = flow.fit_to_density(
        density,
        arguments.epochs,
        arguments.steps_per_epoch,
        arguments.batch,
        annealing_steps=annealing,
        seed=arguments.seed,
        callbacks=[monitor],
        verbose=2,
        objective=objective,
    )
    return history.history


def measure(flow, target, density, unit):
    """What the draws, and exact draws, say."""
    draws = energies.importance(flow, density, 65_536, seed=10, batch_size=8192)
    exact = target.sample(10_000, seed=11)
    log_prob = flow.log_prob(exact / unit, batch_size=5000) - exact.shape[1] * math.log(unit)
    result = {
        "ess": draws.ess,
        "log_z": [draws.log_z, draws.log_z_error],
        "exact_log_z": target.log_z,
        "mean_log_prob_of_exact_draws": float(np.mean(ops.convert_to_numpy(log_prob))),
        "acceptance": energies.metropolis_of_draws(draws, seed=12).acceptance,
    }
    if isinstance(target, energies.NormalMixture):
        modes = target.nearest_mode(unit * draws.x[:10_000])
        shares = np.bincount(modes, minlength=len(target.means)) / len(modes)
        return result | {"modes": int(np.sum(shares > 0)), "smallest_share": float(shares.min())}
    right, error = draws.mean(draws.x[:, ::2] > 0)
    return result | {
        "right_mass": target.right_mass,
        "largest_error_of_a_mass": float(np.abs(right - target.right_mass).max()),
        "standard_error_of_a_mass": float(error.max()),
    }


def main():
    """Train, measure, write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--objective", default="fab", choices=["fab", "reverse_kl", "alpha_2"])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--steps-per-epoch", type=int, default=200)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--step-size", type=float, default=0.1, help="of FAB's first trajectories")
    parser.add_argument("--steps-per-draw", type=int, default=8, help="of FAB")
    parser.add_argument("--annealed-steps", type=int, default=2, help="of FAB")
    parser.add_argument("--annealing-steps", type=int, default=0, help="of reverse KL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--suffix", default="", help="of the files' names")
    parser.add_argument("--out", type=Path, default=Path("runs/wells"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(arguments.seed)
    target, density, unit, flow = TARGETS[arguments.target]()
    started = time.time()
    log = train(flow, density, arguments)
    settings = {key: str(value) for key, value in vars(arguments).items()}
    result = {"settings": settings, "seconds": time.time() - started, "log": log}
    path = arguments.out / f"{arguments.target}-{arguments.objective}{arguments.suffix}.json"
    flow.save_weights(arguments.out / f"{path.stem}.weights.h5")
    found = measure(flow, target, density, unit)
    path.write_text(json.dumps({**result, **found}, indent=1, default=float))
    print(path, found)


if __name__ == "__main__":
    main()
