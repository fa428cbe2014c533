"""Train a recipe on each of FFJORD's eight toys; print a results table and draw all of them.

    python scripts/train_toys.py --recipe realnvp-toys --picture docs/images/toys.png

Test points are seen once, at the end. The picture shows data, density and samples.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np

import tfflows
from tfflows import zoo
from tfflows.evaluation import evaluate, plots
from tfflows.runs import read_recipe, run_recipe

BEST_NATS = {
    "8gaussians": -2.832,
    "checkerboard": -3.466,
    "rings": -2.623,
    "circles": -3.268,
    "moons": -2.394,
    "2spirals": -2.646,
    "swissroll": -2.669,
    "pinwheel": -2.316,
}


def train(name: str, recipe: str, settings: list[str], folder: Path):
    """A flow trained on one toy, and the minutes it took."""
    recipe = read_recipe(zoo.find_recipe(recipe), [*settings, f"data.name={name}"])
    best = run_recipe(recipe, folder, verbose=0)
    last_epoch = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    return keras.saving.load_model(best), last_epoch["seconds"] / 60


def main():
    """Train the toys that the arguments name, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="toys to train; all by default")
    parser.add_argument("--recipe", default="realnvp-toys", help="name or YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", dest="settings")
    parser.add_argument("--out", type=Path, default=Path("runs/toys"))
    parser.add_argument("--picture", type=Path, default=Path("docs/images/toys.png"))
    arguments = parser.parse_args()
    rows = []
    print("| toy | best | test log-likelihood | gap | minutes |\n|---|---|---|---|---|", flush=True)
    for name in arguments.names or BEST_NATS:
        flow, minutes = train(name, arguments.recipe, arguments.settings, arguments.out / name)
        test, _ = tfflows.datasets.load(name, "test")
        result = evaluate(flow, test.batch(5000))
        error = 2 * result.standard_error
        print(
            f"| {name} | {BEST_NATS[name]:.3f} | {result.log_likelihood:.3f} +- {error:.3f} "
            f"| {BEST_NATS[name] - result.log_likelihood:.3f} | {minutes:.1f} |",
            flush=True,
        )
        data = tfflows.datasets.sample_toy(name, 50_000, 1)
        rows.append((name, data, flow, np.asarray(flow.sample(50_000, seed=0))))
        plots.density_panels(rows, arguments.picture)


if __name__ == "__main__":
    main()
