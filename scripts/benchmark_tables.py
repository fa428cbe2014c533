"""Compare TableFlow with simple densities and with CTGAN and TVAE.

    python scripts/benchmark_tables.py quality DATA --peers samples --model runs/adult
    python scripts/benchmark_tables.py holes DATA --model runs/adult
    python scripts/benchmark_tables.py holes 28_pendigits.npz --model runs/pendigits

DATA is a CSV file, or one of ADBench's .npz files; adult's `--target income --positive ">50K"` are
the defaults. Rows are split 80 / 10 / 10 by `tfflows.tables.splitting.train_validation_test`, seed
0. The schema, that is which values a column may have, is inferred from the whole file; all else is
learnt from training rows, and settings are chosen by validation rows. OMP_NUM_THREADS=1 is faster
where other work runs on the cores.

quality: nll of test rows; area under the ROC curve of a two-sample classifier; accuracy and area
of a classifier that learns on samples and is tested on test rows.
holes: nll of cells that are removed from test rows.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from table_quality import fidelity, holes
from table_quality.cart import CartColumns

from tfflows.tables import Schema
from tfflows.tables.baselines import ChowLiuTree, GaussianCopula, IndependentColumns
from tfflows.tables.splitting import train_validation_test

PEERS = {"CTGAN": "ctgan.parquet", "TVAE": "tvae.parquet"}
MAX_ROWS = 50_000
QUALITY = ("model", "test nll, nats per row", "two-sample AUC", "accuracy", "AUC", "seconds")
HOLES = ("model", "removed", "cells, nats", "joint, nats per cell")


def read(path: Path) -> pd.DataFrame:
    """The table of a CSV file, or `X` of ADBench's .npz, at most 50,000 rows of it by seed 0."""
    if path.suffix != ".npz":
        return pd.read_csv(path)
    x = np.load(path)["X"]
    rows = np.sort(np.random.default_rng(0).permutation(len(x))[:MAX_ROWS])
    return pd.DataFrame(x[rows], columns=[f"x{i}" for i in range(x.shape[1])])


def _load(path):
    from tfflows.saving import load_model

    return load_model(path)


class Quality:
    """Rows of the table of `quality`, printed as they are there."""

    def __init__(self, options):
        self.options = options
        self.data = read(options.data)
        self.schema = Schema.infer(self.data)
        self.train, self.validation, self.test = train_validation_test(self.data)
        self.num_samples = max(len(self.train), options.repeats * len(self.test))
        self.rows = []

    def add(self, name, samples, log_prob=None, seconds=None):
        """A row of one model."""
        options = self.options
        areas = fidelity.two_sample_auc(self.test, samples, self.data, options.repeats)
        accuracy, area = fidelity.classifier_scores(
            samples.iloc[: len(self.train)], self.test, options.target, options.positive, self.data
        )
        nll = "" if log_prob is None else _text(-np.mean(log_prob), _error(log_prob), 2)
        row = [name, nll, _text(areas.mean(), areas.std(), 3), f"{accuracy:.4f}", f"{area:.4f}"]
        self.rows.append([*row, "" if seconds is None else f"{seconds:.1f}"])
        print(self.rows[-1], flush=True)

    def baselines(self):
        """Rows of the simple densities, and of the training rows themselves."""
        train, validation, test = (
            self.schema.parse(rows) for rows in (self.train, self.validation, self.test)
        )
        # Training rows twice: as many as the samples of the others.
        real = pd.concat([self.train.sample(frac=1, random_state=0)] * 2, ignore_index=True)
        self.add("training rows", real)
        for name, fit in (
            ("independent columns", lambda: IndependentColumns.fit(self.schema, train)),
            ("Gaussian copula", lambda: GaussianCopula.fit(self.schema, train)),
            ("Chow-Liu tree", lambda: ChowLiuTree.fit(self.schema, train)),
            ("CART-wise", lambda: CartColumns(self.schema, train, validation)),
        ):
            start = time.process_time()
            model = fit()
            seconds = time.process_time() - start
            samples = self.schema.unparse(model.sample(self.num_samples, seed=0))
            self.add(name, samples, model.log_prob(test), seconds)

    def peers(self):
        """Rows of CTGAN and TVAE, from the folder of their samples."""
        folder, python = self.options.peers, self.options.peers_python
        for name, file in PEERS.items() if folder else ():
            if not (folder / file).exists() and python:
                folder.mkdir(parents=True, exist_ok=True)
                self.train.to_parquet(folder / "train.parquet", index=False)
                script = Path(__file__).parent / "table_quality" / "peers.py"
                command = [python, script, name, folder / "train.parquet", folder / file]
                subprocess.run([*command, "--epochs", str(self.options.epochs)], check=True)
            if (folder / file).exists():
                facts = json.loads((folder / file).with_suffix(".json").read_text())
                samples = pd.read_parquet(folder / file)
                self.add(f"{name}, {facts['epochs']} epochs", samples)

    def models(self):
        """Rows of TableFlow and of files of samples."""
        for path in self.options.model:
            model = _load(path)
            samples = model.sample(self.num_samples, seed=0)
            self.add(f"TableFlow, {path.name}", samples, model.log_prob(self.test))
        for path in self.options.samples:
            reader = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
            self.add(path.stem, reader(path))


def quality(options):
    """The table of `quality`."""
    table = Quality(options)
    if not options.only_models:
        table.baselines()
        table.peers()
    table.models()
    return [QUALITY, *table.rows]


def remove(options):
    """The table of `holes`."""
    data = read(options.data)
    schema = Schema.infer(data)
    train, _, test = train_validation_test(data)
    cells = {"train": schema.parse(train), "test": schema.parse(test)}
    models = {f"TableFlow, {path.name}": _load(path) for path in options.model}
    if not options.only_models:
        encoding = holes.Encoding(schema, cells["train"])
        baselines = {
            "full-covariance Gaussian": holes.Gaussian(encoding, cells["train"]),
            "MICE": holes.ChainedEquations(encoding, cells["train"]),
        }
        models = baselines | models
    rows = []
    for rate in holes.RATES:
        removed = holes.removed_cells(len(test), len(schema), rate)
        for name, model in models.items():
            sums = _sums(model, test, cells["test"], removed)
            texts = [s if s is None else _text(*holes.mean_and_error(s, removed), 3) for s in sums]
            rows.append([name, f"{rate:.0%}", *texts])
            print(rows[-1], flush=True)
    return [HOLES, *rows]


def _sums(model, test, cells, removed):
    """Log p of a row's removed cells, each by itself and jointly, `[n]` each."""
    if isinstance(model, holes.Gaussian):
        log_prob, chain = model.cell_log_prob(cells, removed)
        return np.nansum(log_prob, 1), np.nansum(chain, 1)
    if isinstance(model, holes.ChainedEquations):
        return np.nansum(model.cell_log_prob(cells, removed), 1), None
    log_prob, joint = holes.model_log_prob(model, test, removed)
    return np.nansum(log_prob, 1), joint


def _error(values):
    return np.std(values) / len(values) ** 0.5


def _text(mean, error, digits):
    return f"{mean:.{digits}f} +- {error:.{digits}f}"


def main():
    """Write a table as CSV."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("quality", "holes"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, help="CSV file of the table; printed by default")
    parser.add_argument("--model", type=Path, action="append", default=[], help="a TableFlow")
    parser.add_argument("--samples", type=Path, action="append", default=[], help="CSV or Parquet")
    parser.add_argument("--only-models", action="store_true", help="no baselines and no peers")
    parser.add_argument("--peers", type=Path, help="folder of the samples of CTGAN and TVAE")
    parser.add_argument("--peers-python", help="of an environment with `ctgan`, to make them")
    parser.add_argument("--epochs", type=int, default=300, help="of the peers")
    parser.add_argument("--repeats", type=int, default=5, help="of the two-sample classifier")
    parser.add_argument("--target", default="income")
    parser.add_argument("--positive", default=">50K")
    options = parser.parse_args()
    rows = (quality if options.part == "quality" else remove)(options)
    if options.out:
        with open(options.out, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    else:
        csv.writer(sys.stdout, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
