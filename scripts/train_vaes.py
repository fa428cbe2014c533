"""Train the VAE of a recipe with several posteriors and priors, and table its bounds.

    python scripts/train_vaes.py zoo/recipes/vae-mnist-mlp.yaml --data-dir DATA --out FOLDER
        [--posteriors gaussian planar iaf sylvester] [--priors none maf] [--seeds 0]
        [--draws 500] [--rows 1000] [--csv docs/results/vae-mnist.csv] [--set KEY=VALUE]

Each run has a folder, and goes on where it was stopped. On test rows: -ELBO in nats by one draw per
row, of all rows, and -log p(x) by importance weights, of `--rows` evenly spread ones, with the
gap between both on these.
"""

import argparse
import csv
import math
import time
from pathlib import Path

import numpy as np

import tfflows
from tfflows.runs.curve import best_epoch, read_epochs
from tfflows.runs.data import load_split
from tfflows.runs.recipe import read_recipe
from tfflows.runs.run import run_recipe

PRIORS = {
    "none": None,
    "maf": {"maf": {"num_layers": 4, "hidden_units": [320]}},
    "vamp": {"vamp": {"num_components": 200}},
    "mixture": {"mixture-of-gaussians": {"num_components": 200}},
}


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean of values, and its standard error."""
    values = np.asarray(values, "float64")
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def measure(vae: tfflows.vae.VAE, x: np.ndarray, rows: int, draws: int) -> dict:
    """Bounds of a VAE on test rows."""
    elbo, elbo_error = mean_and_error(vae.elbo(x, batch_size=500))
    some = x[np.linspace(0, len(x) - 1, min(rows, len(x))).astype(int)]
    nll, nll_error = mean_and_error(vae.log_prob(some, num_draws=draws))
    below, _ = mean_and_error(vae.elbo(some, batch_size=500))
    vae.compile(jit_compile=False)
    logs = vae.evaluate(x, batch_size=500, verbose=0, return_dict=True)
    return {
        "neg_elbo": round(-elbo, 3),
        "neg_elbo_error": round(elbo_error, 3),
        "kl": round(float(logs["kl"]), 2),
        "active_units": int(logs["active_units"]),
        "nll": round(-nll, 3),
        "nll_error": round(nll_error, 3),
        "gap": round(nll - below, 3),
        "nll_rows": len(some),
        "nll_draws": draws,
        "bits_per_dim": round(-elbo / (vae.dims * math.log(2)), 4),
        "parameters": vae.count_params(),
    }


def train(args: argparse.Namespace, posterior: str, prior: str, seed: int) -> dict:
    """One row of the table."""
    settings = [f"data.dir={args.data_dir}", f"model.arguments.posterior={posterior}"]
    settings += [f"seed={seed}", *args.set]
    recipe = read_recipe(args.recipe, settings)
    if recipe.data.name == "frey_faces":  # its seeds are those of the split, too
        recipe = read_recipe(args.recipe, [*settings, f"data.options.seed={seed}"])
    recipe.model.arguments["prior"] = PRIORS[prior]
    folder = args.out / f"{recipe.name}-{posterior}-{prior}-{seed}"
    run_recipe(recipe, folder, resume=folder.exists(), verbose=2)
    epochs = read_epochs(folder)
    rows, _ = load_split(recipe, "test")
    vae = tfflows.load_model(folder)
    return {
        "network": recipe.name,
        "posterior": posterior,
        "prior": prior,
        "seed": seed,
        "epochs": len(epochs),
        "best_epoch": best_epoch(epochs).epoch,
        "minutes": round(epochs[-1].seconds / 60, 1),
        **measure(vae, np.asarray(rows.x), args.rows, args.draws),
    }


def main() -> None:
    """Train all combinations, and append their rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--posteriors", nargs="+", default=["gaussian", "planar", "iaf"])
    parser.add_argument("--priors", nargs="+", default=["none"], choices=list(PRIORS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    for seed in args.seeds:
        for prior in args.priors:
            for posterior in args.posteriors:
                start = time.perf_counter()
                row = train(args, posterior, prior, seed)
                print(row, f"{time.perf_counter() - start:.0f} s in all", flush=True)
                if args.csv is not None:
                    append(args.csv, displayed(row))


def displayed(row: dict) -> dict:
    """A row as the page of results has it."""
    return {
        "recipe": row["network"],
        "posterior": row["posterior"],
        "prior": "normal" if row["prior"] == "none" else row["prior"],
        "seed": row["seed"],
        "-ELBO, nats": f"{row['neg_elbo']:.2f} +- {row['neg_elbo_error']:.2f}",
        "bits/dim": f"{row['bits_per_dim']:.4f}",
        "KL": f"{row['kl']:.1f}",
        "active units": row["active_units"],
        "-log p(x), nats": f"{row['nll']:.2f} +- {row['nll_error']:.2f}",
        "ELBO below it": f"{row['gap']:.2f}",
        "draws x rows": f"{row['nll_draws']:,} x {row['nll_rows']:,}",
        "best epoch": f"{row['best_epoch']} of {row['epochs']}",
        "minutes": row["minutes"],
        "parameters": f"{row['parameters']:,}",
    }


def append(path: Path, row: dict) -> None:
    """Add a row to a CSV file, with the names where it is new."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
