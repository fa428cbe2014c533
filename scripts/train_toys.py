"""Train RealNVP on FFJORD's eight toys; print a results table and draw data, density and samples.

    python scripts/train_toys.py --out runs/toys

Fresh samples are drawn each epoch, and the test points (another seed) are seen once, at the end.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np

import tfflows
from tfflows import plots
from tfflows.evaluation import evaluate

BEST = {
    "8gaussians": -2.832,
    "checkerboard": -3.466,
    "rings": -2.623,
    "circles": -3.268,
    "moons": -2.394,
    "2spirals": -2.646,
    "swissroll": -2.669,
    "pinwheel": -2.316,
}
BATCH, STEPS_PER_EPOCH = 512, 200


def train(name: str, couplings: int, components: int, epochs: int, seed: int):
    """A flow trained on one toy, and the minutes it took."""
    keras.utils.set_random_seed(seed)
    base = None
    if components:
        base = tfflows.distributions.MixtureOfGaussians(components, seed=seed)
    flow = tfflows.models.RealNVP((2,), couplings, (128, 128), base=base)
    schedule = keras.optimizers.schedules.CosineDecay(5e-3, epochs * STEPS_PER_EPOCH)
    flow.compile(keras.optimizers.Adam(schedule, clipnorm=5.0), jit_compile=True)
    start = time.time()
    for epoch in range(epochs):
        x = tfflows.datasets.sample_toy(name, BATCH * STEPS_PER_EPOCH, 1000 * seed + epoch)
        flow.fit(x, batch_size=BATCH, verbose=0)
    return flow, (time.time() - start) / 60


def main():
    """Train the toys that the arguments name, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="toys to train; all by default")
    parser.add_argument("--couplings", type=int, default=4)
    parser.add_argument("--components", type=int, default=300, help="0 for a standard normal base")
    parser.add_argument("--epochs", type=int, default=30, help=f"of {STEPS_PER_EPOCH} steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/toys"))
    arguments = parser.parse_args()
    rows = []
    print("| toy | best | test log-likelihood | gap | minutes |\n|---|---|---|---|---|", flush=True)
    for name in arguments.names or BEST:
        flow, minutes = train(
            name, arguments.couplings, arguments.components, arguments.epochs, arguments.seed
        )
        test, _ = tfflows.datasets.load(name, "test")
        result = evaluate(flow, test.batch(5000))
        error = 2 * result.standard_error
        print(
            f"| {name} | {BEST[name]:.3f} | {result.log_likelihood:.3f} +- {error:.3f} "
            f"| {BEST[name] - result.log_likelihood:.3f} | {minutes:.1f} |",
            flush=True,
        )
        flow.save(arguments.out / f"{name}.keras")
        data = tfflows.datasets.sample_toy(name, 50_000, 1)
        rows.append((name, data, flow, np.asarray(flow.sample(50_000, seed=0))))
        plots.density_panels(rows, arguments.out / "toys.png")


if __name__ == "__main__":
    main()
