"""NICE with 10 couplings and its likelihood as score, by the published recipe.

    KERAS_BACKEND=jax python -m scripts.anomaly_study.nice --scores FOLDER

200 epochs of AdamW with weight decay 1e-4, batches of 512, robust scaling (the recipe of the
published mean over 47 tables, which does not say the widths).
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np

import tfflows
from scripts.anomaly_study import tables


def fit(x, width, seed, epochs=200):
    """A fitted flow of scaled rows."""
    keras.utils.set_random_seed(seed)
    flow = tfflows.models.NICE(x.shape[1:], 10, hidden_units=[width, width], preprocessing=[])
    flow.compile(keras.optimizers.AdamW(1e-3, weight_decay=1e-4), jit_compile=True)
    flow.fit(x, epochs=epochs, batch_size=512, verbose=0)
    return flow


def run(name, width, seed, contamination=0.0):
    """Scores of the training and the test rows, and seconds."""
    split = tables.split(name, seed, contamination=contamination)
    scaled = tables.scaled(split.train, split.test, "robust")
    train, test = (rows.astype("float32") for rows in scaled)
    start = time.perf_counter()
    flow = fit(train, width, seed)
    scores = [-np.asarray(flow.log_prob(x, batch_size=1000)) for x in (train, test)]
    return *scores, time.perf_counter() - start


def main():
    """Write a file of scores per table and seed, where there is none yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--tables", nargs="+", default=tables.names())
    args = parser.parse_args()
    for seed in args.seeds:
        for name in args.tables:
            method = "nice" if args.width == 128 else f"nice-{args.width}"
            path = args.scores / f"{name}.{method}.{seed}.npz"
            if not path.exists():
                train, test, seconds = run(name, args.width, seed)
                np.savez(path, train=train, test=test, seconds=seconds)
                print(f"{method} {name} {seed} {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
