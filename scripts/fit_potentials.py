"""Fit flows to the four potentials of Rezende and Mohamed by the reverse KL divergence.

    python scripts/fit_potentials.py --out runs/potentials

Prints the mean of log q(x) - log p(x) over 100,000 draws beside -log Z, below which it comes
only by chance, and draws densities and samples. The density is annealed over the first third of the
steps, without which couplings keep to one of the two modes of U1. On U2 to U4 z1 is kept in [-4, 4]
by walls.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

import tfflows
from tfflows import layers
from tfflows.evaluation import plots
from tfflows.transforms import RationalQuadraticSpline

LOG_Z = {"U1": 1.8775, "U2": 2.0821, "U3": 2.6417, "U4": 2.7107}
WALL = 100.0  # slope of the walls, in nats per unit: they add two hundredths of 8 to 8 units


def u1(z):
    """Two half moons on a ring (Rezende and Mohamed 2015, table 1)."""
    radius = ops.sqrt(ops.sum(ops.square(z), axis=-1) + 1e-12)
    left, right = (-0.5 * ops.square((z[:, 0] + side * 2) / 0.6) for side in (1, -1))
    return 0.5 * ops.square((radius - 2) / 0.4) - ops.logaddexp(left, right)


def _w1(z):
    return ops.sin(0.5 * np.pi * z[:, 0])


def _wall(z):
    return WALL * ops.relu(ops.abs(z[:, 0]) - 4)


def u2(z):
    """A wave."""
    return 0.5 * ops.square((z[:, 1] - _w1(z)) / 0.4) + _wall(z)


def u3(z):
    """Two waves that part around z1 = 1."""
    w2 = 3 * ops.exp(-0.5 * ops.square((z[:, 0] - 1) / 0.6))
    one = -0.5 * ops.square((z[:, 1] - _w1(z)) / 0.35)
    other = -0.5 * ops.square((z[:, 1] - _w1(z) + w2) / 0.35)
    return -ops.logaddexp(one, other) + _wall(z)


def u4(z):
    """Two waves that part at z1 = 1."""
    w3 = 3 * ops.sigmoid((z[:, 0] - 1) / 0.3)
    one = -0.5 * ops.square((z[:, 1] - _w1(z)) / 0.4)
    other = -0.5 * ops.square((z[:, 1] - _w1(z) + w3) / 0.35)
    return -ops.logaddexp(one, other) + _wall(z)


POTENTIALS = {"U1": u1, "U2": u2, "U3": u3, "U4": u4}


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
        for name in arguments.names or POTENTIALS:
            keras.utils.set_random_seed(0)
            flow, potential, start = MODELS[model](), POTENTIALS[name], time.time()
            steps = 200 * arguments.epochs
            rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
            optimizer = keras.optimizers.Adam(rate, clipnorm=5.0)
            flow.compile(optimizer, jit_compile=True, steps_per_execution=20)
            flow.fit_to_density(
                lambda z, u=potential: -u(z),
                arguments.epochs,
                200,
                annealing_steps=steps // 3,
                seed=0,
                verbose=0,
            )
            minutes = (time.time() - start) / 60
            x, log_prob = flow.sample_and_log_prob(100_000, seed=1)
            terms = ops.convert_to_numpy(log_prob + potential(x))
            error = 2 * terms.std() / np.sqrt(len(terms))
            print(
                f"| {name} | {model} | {-LOG_Z[name]:.4f} | {terms.mean():.4f} +- {error:.4f} "
                f"| {terms.mean() + LOG_Z[name]:.4f} | {minutes:.1f} |",
                flush=True,
            )
            rows.append((name, _draw(potential), flow, ops.convert_to_numpy(x)))
        plots.density_panels(rows, arguments.out / f"{model}.png")


def _draw(potential, count=50_000):
    """Points of the density itself, by rejection in a box around it."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-4.0, -7.0], [4.0, 4.0], (40 * count, 2)).astype("float32")
    density = np.exp(-ops.convert_to_numpy(potential(points)))
    return points[rng.uniform(0, density.max(), len(points)) < density][:count]


if __name__ == "__main__":
    main()
