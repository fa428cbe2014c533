"""Draw the pictures of the guides on variational inference, long training and trouble.

    python scripts/docs_images_b.py [NAME ...]

Writes docs/images/guide-NAME.png; some minutes for all three on a CPU.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure

import tfflows
from tfflows import zoo
from tfflows.evaluation import plots

IMAGES = Path(__file__).parents[1] / "docs" / "images"
RUNS = ("maf-bsds300", "nsf-bsds300", "made-bsds300")


def _ring(x):
    return -0.5 * ops.square((ops.norm(x, axis=-1) - 3) / 0.3)


def draw_variational(path: Path) -> None:
    """A ring, the density of a flow trained on its formula, and samples of that."""
    keras.utils.set_random_seed(0)
    flow = tfflows.models.NSF(
        (2,), num_steps=4, hidden_units=64, num_bins=16, bound=6.0, activation="silu"
    )
    rate = keras.optimizers.schedules.CosineDecay(2e-3, 4_000)
    flow.compile(keras.optimizers.Adam(rate, clipnorm=5.0), steps_per_execution=20)
    flow.fit_to_density(_ring, 20, 200, annealing_steps=1_000, seed=0, verbose=2)
    rng = np.random.default_rng(0)
    points = rng.uniform(-5, 5, (1_000_000, 2)).astype("float32")
    draws = points[rng.uniform(size=len(points)) < np.exp(ops.convert_to_numpy(_ring(points)))]
    samples = flow.sample(len(draws), seed=0)
    plots.density_panels([("ring", draws, flow, samples)], path, bound=5.0)


def draw_long_training(path: Path) -> None:
    """Negative log-likelihoods over the epochs of runs of the zoo."""
    figure = Figure(figsize=(10, 3), layout="constrained")
    for panel, name in zip(figure.subplots(1, len(RUNS)), RUNS, strict=True):
        lines = (zoo.find(name) / "metrics.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        epochs = [row["epoch"] for row in rows]
        panel.plot(epochs, [row["nll"] for row in rows], color="grey", label="training")
        panel.plot(epochs, [row["val_nll"] for row in rows], label="validation, averaged weights")
        best = min(row["val_nll"] for row in rows)
        panel.set_ylim(best - 14, best + 26)
        panel.set(title=name, xlabel="epoch")
    figure.axes[0].set_ylabel("nll, nats")
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def draw_trouble(path: Path) -> None:
    """Bits per dimension of clothes and of digits under a model of clothes."""
    flow = zoo.load("glow-fashion-mnist")
    digits = np.load(zoo.find("glow-mnist") / "fixture.npz")["x"]
    own = np.load(zoo.find("glow-fashion-mnist") / "fixture.npz")["log_prob"]
    foreign = np.concatenate(
        [ops.convert_to_numpy(flow.log_prob(digits[i : i + 50])) for i in range(0, 200, 50)]
    )
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    panel = figure.subplots()
    bins = np.linspace(0, 6, 61)
    for log_prob, label in ((foreign, "digits, never seen"), (own, "clothes, its test images")):
        bits = -log_prob / (flow.dims * np.log(2))
        panel.hist(bits, bins, alpha=0.6, label=label)
    panel.set(xlabel="bits/dim: lower is a higher density", ylabel="images")
    panel.legend()
    figure.savefig(path, dpi=110)


DRAWINGS = {
    "long-training": draw_long_training,
    "trouble": draw_trouble,
    "variational": draw_variational,
}


def main() -> None:
    """Draw what the arguments name, all by default."""
    for name in sys.argv[1:] or DRAWINGS:
        DRAWINGS[name](IMAGES / f"guide-{name}.png")


if __name__ == "__main__":
    main()
