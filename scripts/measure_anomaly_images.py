"""AUROC of each anomaly score on images, for docs/results/anomaly-images.csv.

    python scripts/measure_anomaly_images.py pair fashion_mnist --data-dir ~/tensorflow_datasets
    python scripts/measure_anomaly_images.py class mnist --data-dir ~/tensorflow_datasets

`pair` takes the zoo's Glow of one data set, and rows of the other one as anomalies. `class` trains
a dense RealNVP on all classes but one: the simplest one, whose training images have the shortest
mean code, unless another one is named. Scores are fitted to validation rows, and both kinds of rows
are test rows. "auto" is a whole `AnomalyDetector`, which calibrates on half of the validation rows.
Each command replaces what it measures in its own column of the file.
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
from tfflows.anomaly import AnomalyDetector, code_length, complexity
from tfflows.anomaly.choices import NAMES, make_score
from tfflows.anomaly.rows import perturbed

OUT = Path(__file__).parents[1] / "docs" / "results" / "anomaly-images.csv"
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
OTHER = {"mnist": "fashion_mnist", "fashion_mnist": "mnist"}
TRAINED = 50_000  # rows that the zoo's models were trained on; the rest is for validation
FITTED = 3_000  # validation rows
BATCH_SIZE = 128
COMPRESSORS = ("png", "zlib")
NOT_MEASURED = ("nearest", "smallest_p_value")  # of tables; what "auto" is
MEASURED = (
    "auto",
    *(name for name in NAMES if name not in NOT_MEASURED),
    *(f"complexity, {name}" for name in COMPRESSORS),
)


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


def dense_flow(x, steps, seed):
    """A RealNVP of dense networks, which trains in minutes on a CPU.

    Its rate falls to zero along a cosine.
    """
    keras.utils.set_random_seed(seed)
    pixels = [tfflows.layers.Dequantize(256), tfflows.layers.Logit(1e-6)]
    flow = tfflows.models.RealNVP(
        (28, 28, 1), 6, (256, 256), partition="random", preprocessing=pixels
    )
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    flow.compile(keras.optimizers.Adam(rate, clipnorm=100.0))
    rows = np.random.default_rng(seed).permutation(len(x))[: steps * BATCH_SIZE]
    epochs = max(1, round(steps * BATCH_SIZE / len(rows)))
    flow.fit(x[rows], batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
    bits = flow.evaluate(x[-500:], batch_size=500, verbose=0, return_dict=True)["bits_per_dim"]
    print(f"{flow.name}: {steps} steps, {bits:.3f} bits per dim", flush=True)
    return flow


def models_of(name, flow, x, args):
    """The models that a score takes: the flow, and another one that is trained for it."""
    if name == "likelihood_ratio":
        return flow, dense_flow(perturbed(x, 0.2, args.seed), args.steps, args.seed + 1)
    if name == "ensemble":
        return flow, dense_flow(x, args.steps, args.seed + 2)
    return (flow,)


def measure(args, flow, x, fitted, parts, column):
    """AUROC of each score, written as soon as it is known.

    Args:
        args: of the command line.
        flow: of normal rows.
        x: the rows that it was trained on.
        fitted: normal rows that scores are fitted to.
        parts: normal rows and anomalies.
        column: of the table.
    """
    for name in args.scores:
        start = time.perf_counter()
        if name == "auto":
            detector = AnomalyDetector(model=flow, seed=args.seed).fit(fitted)
            found = [-detector.score_samples(part) for part in parts]
            alarms = [(values > -detector.threshold_).mean() for values in found]
            print(f"{detector.score_name_}: {alarms[0]:.3f} false alarms, {alarms[1]:.3f} found")
        else:
            rows = args.fisher_rows if name == "fisher" else None
            if name.startswith("complexity, "):
                score = complexity.ComplexityCorrected(flow, name.split(", ")[1])
            else:
                score = make_score(name, models_of(name, flow, x, args))
            score.fit(fitted[:rows])
            found = [score(part[:rows]) for part in parts]
        labels = np.repeat([0, 1], [len(values) for values in found])
        auc = f"{roc_auc_score(labels, np.concatenate(found)):.4f}"
        write(column, name, auc)
        print(f"{column}: {name} {auc}, {time.perf_counter() - start:.0f} s", flush=True)


def simplest_class(images, labels):
    """The class whose images have the shortest mean code."""
    lengths = np.asarray(code_length(images))
    return int(np.argmin([lengths[labels == label].mean() for label in range(10)]))


def write(column, name, auc):
    """Put one number into the table."""
    table = {}
    if OUT.exists():
        with OUT.open(newline="") as file:
            table = {row["score"]: row for row in csv.DictReader(file)}
    table.setdefault(name, {"score": name})[column] = auc
    headings = list(dict.fromkeys(key for row in table.values() for key in row))
    with OUT.open("w", newline="") as file:
        writer = csv.DictWriter(file, headings, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(table.values(), key=lambda row: MEASURED.index(row["score"])))


def main():
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["pair", "class"])
    parser.add_argument("data", choices=list(OTHER))
    parser.add_argument("label", type=int, nargs="?")
    parser.add_argument("--data-dir")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--fisher-rows", type=int, default=200)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scores", nargs="*", choices=MEASURED, default=MEASURED, metavar="SCORE")
    args = parser.parse_args()
    train, test = load(args.data, args.data_dir)
    x, fitted = train["image"][:TRAINED], train["image"][TRAINED:]
    if args.kind == "pair":
        flow = tfflows.zoo.load(f"glow-{args.data.replace('_', '-')}")
        normal, foreign = test["image"], load(OTHER[args.data], args.data_dir)[1]["image"]
        column = f"{TITLES[args.data]}, then {TITLES[OTHER[args.data]]}"
    else:
        label = args.label
        if label is None:
            label = simplest_class(x[:5_000], train["label"][:5_000])
        is_own, is_normal = train["label"] != label, test["label"] != label
        x, fitted = x[is_own[:TRAINED]], fitted[is_own[TRAINED:]]
        flow = dense_flow(x, args.steps, args.seed)
        normal, foreign = test["image"][is_normal], test["image"][~is_normal]
        column = f"{TITLES[args.data]} without class {label}, then it"
    parts = normal[: args.rows], foreign[: args.rows]
    measure(args, flow, x, fitted[:FITTED], parts, column)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of CPU")


if __name__ == "__main__":
    main()
