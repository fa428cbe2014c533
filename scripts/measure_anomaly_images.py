"""AUROC of each anomaly score on images, for docs/results/anomaly-images.csv.

    python scripts/measure_anomaly_images.py pair fashion_mnist --data-dir ~/tensorflow_datasets
    python scripts/measure_anomaly_images.py class mnist 1 --data-dir ~/tensorflow_datasets

`pair` takes the zoo's Glow of one data set, and rows of the other one as anomalies. `class` trains
a dense RealNVP on all classes but one. Scores are fitted to validation rows, and both kinds of rows
are test rows. Each command replaces its own column of the file.
"""

import argparse
import csv
import resource
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow_datasets as tfds
from sklearn.metrics import roc_auc_score

import tfflows
from tfflows.anomaly import complexity, scores
from tfflows.anomaly.choices import SCORES
from tfflows.anomaly.rows import perturbed
from tfflows.anomaly.several_models import Ensemble, LikelihoodRatio
from tfflows.anomaly.training import TimeLimit

OUT = Path(__file__).parents[1] / "docs" / "results" / "anomaly-images.csv"
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
OTHER = {"mnist": "fashion_mnist", "fashion_mnist": "mnist"}
TRAINED = 50_000  # rows that the zoo's models were trained on; the rest is for validation


def load(name, data_dir):
    """Images and labels of the training and the test rows, in file order."""
    config = tfds.ReadConfig(interleave_cycle_length=1)
    return [
        tfds.as_numpy(
            tfds.load(
                name, split=split, data_dir=data_dir, download=False, batch_size=-1,
                read_config=config, shuffle_files=False,
            )
        )
        for split in ("train", "test")
    ]  # fmt: skip


def small_glow(x, minutes, seed):
    """A small Glow, trained for some minutes."""
    keras.utils.set_random_seed(seed)
    flow = tfflows.models.Glow((28, 28, 1), num_levels=2, depth=4, filters=48)
    return trained(flow, x, minutes, seed, 64)


def dense_flow(x, minutes, seed):
    """A RealNVP of dense networks, which trains in minutes on a CPU."""
    keras.utils.set_random_seed(seed)
    pixels = [tfflows.layers.Dequantize(256), tfflows.layers.Logit(1e-6)]
    flow = tfflows.models.RealNVP(
        (28, 28, 1), 6, (512, 512), partition="random", preprocessing=pixels
    )
    return trained(flow, x, minutes, seed, 256)


def trained(flow, x, minutes, seed, batch_size):
    """The flow after some minutes of Adam."""
    flow.compile(keras.optimizers.Adam(1e-3, clipnorm=100.0), steps_per_execution=16)
    limit, random, losses = TimeLimit(minutes), np.random.default_rng(seed), []
    while (limit.minutes_left or 0) > 0.01:
        left = (limit.minutes_left or 0) / minutes
        flow.optimizer.learning_rate = 1e-3 * min(1.0, 0.02 + 2 * left)
        rows = random.choice(len(x), 100 * batch_size, replace=False)
        history = flow.fit(x[rows], batch_size=batch_size, verbose=0)
        losses.append(history.history["bits_per_dim"][-1])
    print(f"{flow.name}: {len(losses)} x 100 steps, {losses[-1]:.3f} bits per dim", flush=True)
    return flow


def all_scores(flow, others, fisher_rows):
    """Every score of a flow by its name, with how many rows it is measured on."""
    left_out = {"fisher", "nearest", "smallest_p_value"}  # the last two are of tables
    made = {name: (make(flow), None) for name, make in SCORES.items() if name not in left_out}
    made["fisher"] = (scores.FisherScore(flow), fisher_rows)
    for name in ("png", "zlib"):
        made[f"complexity, {name}"] = (complexity.ComplexityCorrected(flow, name), None)
    if others:
        made["likelihood_ratio"] = (LikelihoodRatio(flow, others[0]), None)
        made["ensemble"] = (Ensemble([flow, others[1]]), None)
    return made


def measure(args, flow, others, fitted, normal, foreign):
    """AUROC by the name of the score."""
    aucs = {}
    for name, (score, rows) in all_scores(flow, others, args.fisher_rows).items():
        start = time.perf_counter()
        score.fit(fitted[:rows])
        found = np.concatenate([score(part[:rows]) for part in (normal, foreign)])
        labels = np.arange(len(found)) >= len(normal[:rows])
        aucs[name] = f"{roc_auc_score(labels, found):.4f}"
        seconds = time.perf_counter() - start
        print(f"{args.data} {name}: {aucs[name]}, {seconds:.0f} s", flush=True)
    return aucs


def write(column, aucs):
    """Add a column to the table, or replace it."""
    table = {}
    if OUT.exists():
        with OUT.open(newline="") as file:
            table = {row["score"]: row for row in csv.DictReader(file)}
    for name, auc in aucs.items():
        table.setdefault(name, {"score": name})[column] = auc
    headings = list(dict.fromkeys(key for row in table.values() for key in row))
    with OUT.open("w", newline="") as file:
        writer = csv.DictWriter(file, headings, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.values())


def main():
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["pair", "class"])
    parser.add_argument("data", choices=list(OTHER))
    parser.add_argument("label", type=int, nargs="?")
    parser.add_argument("--data-dir")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--fisher-rows", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train, test = load(args.data, args.data_dir)
    fitted = train["image"][TRAINED : TRAINED + 3_000]
    others = None
    if args.kind == "pair":
        name = f"glow-{args.data.replace('_', '-')}"
        flow = tfflows.zoo.load(name)
        x = train["image"][:TRAINED]
        if args.minutes:
            background = small_glow(perturbed(x, 0.2, args.seed), args.minutes, args.seed)
            others = background, small_glow(x, args.minutes, args.seed + 1)
        normal, foreign = test["image"], load(OTHER[args.data], args.data_dir)[1]["image"]
        column = f"{TITLES[args.data]}, then {TITLES[OTHER[args.data]]}"
    else:
        is_own = train["label"] != args.label
        flow = dense_flow(train["image"][:TRAINED][is_own[:TRAINED]], args.minutes, args.seed)
        column = f"{TITLES[args.data]} without class {args.label}, then it"
        fitted = train["image"][TRAINED:][is_own[TRAINED:]][:3_000]
        is_own = test["label"] != args.label
        normal, foreign = test["image"][is_own], test["image"][~is_own]
    normal, foreign = normal[: args.rows], foreign[: args.rows]
    write(column, measure(args, flow, others, fitted, normal, foreign))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of CPU")


if __name__ == "__main__":
    main()
