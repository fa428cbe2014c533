"""Fit flows to the four potentials of Rezende and Mohamed by the reverse KL divergence.

    python scripts/fit_potentials.py --out runs/potentials

Prints the mean of log q(x) - log p(x) over 100,000 draws beside -log Z, below which it comes
only by chance, and draws densities and samples. The density is annealed over the first third of the
steps, without which couplings keep to one of the two modes of U1.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

import tfflows
from tfflows import energies, layers
from tfflows.evaluation import plots
from tfflows.transforms import RationalQuadraticSpline


def make_iaf():
    """Inverse autoregressive layers with splines, in alternating orders."""
    stack = []
    for i in range(6):
        spline = RationalQuadraticSpline(num_bins=16, bound=6.0)
        order = ("sequential", "reversed")[i % 2]
        stack.append(layers.InverseAutoregressive(spline, (64, 64), "silu", order=order))
    return tfflows.Flow(stack, (2,))


def make_couplings():
    """Spline couplings, which keep each element in turn."""
    return tfflows.models.NSF(
        (2,), num_steps=6, hidden_units=64, num_bins=16, bound=6.0, activation="silu"
    )


MODELS = {"IAF": make_iaf, "couplings": make_couplings}


def main():
    """Fit what the arguments name, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="U1 to U4; all by default")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--epochs", type=int, default=30, help="of 200 steps of 512 draws")
    parser.add_argument("--out", type=Path, default=Path("runs/potentials"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print("| potential | model | -log Z | loss | gap | minutes |\n|---|---|---|---|---|---|")
    for model in arguments.models:
        rows = []
        for name in arguments.names or ("U1", "U2", "U3", "U4"):
            keras.utils.set_random_seed(0)
            flow, target, start = MODELS[model](), energies.Potential(name), time.time()
            steps = 200 * arguments.epochs
            rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
            optimizer = keras.optimizers.Adam(rate, clipnorm=5.0)
            flow.compile(optimizer, jit_compile=True, steps_per_execution=20)
            flow.fit_to_density(
                target,
                arguments.epochs,
                200,
                annealing_steps=steps // 3,
                seed=0,
                verbose=0,
            )
            minutes = (time.time() - start) / 60
            x, log_prob = flow.sample_and_log_prob(100_000, seed=1)
            terms = ops.convert_to_numpy(log_prob - target(x))
            error = 2 * terms.std() / np.sqrt(len(terms))
            print(
                f"| {name} | {model} | {-target.log_z:.4f} | {terms.mean():.4f} +- {error:.4f} "
                f"| {terms.mean() + target.log_z:.4f} | {minutes:.1f} |",
                flush=True,
            )
            rows.append((name, target.sample(50_000, seed=0), flow, ops.convert_to_numpy(x)))
        plots.density_panels(rows, arguments.out / f"{model}.png")


if __name__ == "__main__":
    main()
