"""CTGAN and TVAE of the package `ctgan`, in an environment with only that package and PyTorch.

    python -m venv ENVIRONMENT && ENVIRONMENT/bin/pip install "torch==2.13.0" "ctgan==0.12.1"
    ENVIRONMENT/bin/python scripts/table_quality/peers.py CTGAN train.parquet samples/ctgan.parquet

Settings are the package's defaults (Xu et al. 2019, "Modeling tabular data using conditional GAN",
https://arxiv.org/abs/1907.00503). Whole numbers are rounded and clipped to the range of the
training rows, as SDV's `CTGANSynthesizer` and `TVAESynthesizer` do by default. Training ends early
after `--minutes`; with `--every`, samples are written on the way, too. Beside the samples a JSON
file says how they were made.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import ctgan
import numpy as np
import pandas as pd
import torch


def whole_numbers(samples: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """The samples with the dtypes of the training rows, whole numbers rounded and clipped."""
    samples = samples[list(train.columns)].copy()
    for name in train.select_dtypes("integer"):
        column = train[name]
        rounded = samples[name].astype("float64").round().clip(column.min(), column.max())
        samples[name] = rounded.astype(column.dtype)
    return samples


class Epochs:
    """Stands for `tqdm` in `ctgan`: counts epochs, ends after a time, calls `save` on the way."""

    seconds = float("inf")
    every = 0
    done = 0
    save = staticmethod(lambda: None)

    def __init__(self, numbers, disable):
        del disable
        self.numbers = numbers

    def __iter__(self):
        start = time.perf_counter()
        for number in self.numbers:
            if time.perf_counter() - start > Epochs.seconds:
                return
            yield number
            Epochs.done = number + 1
            if Epochs.every and Epochs.done % Epochs.every == 0:
                Epochs.save()

    def set_description(self, text):
        """Print an epoch's loss."""
        print(Epochs.done, text, flush=True)


def parse():
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=("CTGAN", "TVAE"))
    parser.add_argument("train", type=Path, help="Parquet file of the training rows")
    parser.add_argument("out", type=Path, help="Parquet file of the samples")
    parser.add_argument("--rows", type=int, default=40000)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--every", type=int, default=0, help="epochs after which samples are kept")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def write(model, train, start, options):
    """Sample, and write both files."""
    minutes = (time.perf_counter() - start) / 60
    usage = resource.getrusage(resource.RUSAGE_SELF)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    samples = whole_numbers(model.sample(options.rows), train)
    temporary = options.out.with_suffix(".tmp")
    samples.to_parquet(temporary, index=False)
    os.replace(temporary, options.out)
    facts = {
        "model": options.model,
        "version": f"ctgan {ctgan.__version__}, torch {torch.__version__}",
        "train_rows": len(train),
        "epochs": Epochs.done,
        "seed": options.seed,
        "threads": torch.get_num_threads(),
        "minutes": round(minutes, 1),
        "cpu_minutes": round((usage.ru_utime + usage.ru_stime) / 60, 1),
    }
    options.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts), flush=True)


def main():
    """Train, sample, and write both files."""
    options = parse()
    torch.manual_seed(options.seed)
    np.random.seed(options.seed)
    train = pd.read_parquet(options.train)
    discrete = list(train.columns.difference(train.select_dtypes("number").columns))
    numbers = train.astype(dict.fromkeys(train.select_dtypes("integer"), "float64"))
    start = time.perf_counter()
    model = getattr(ctgan, options.model)(epochs=options.epochs, enable_gpu=False, verbose=True)
    for module in (ctgan.synthesizers.ctgan, ctgan.synthesizers.tvae):
        module.tqdm = Epochs
    Epochs.seconds, Epochs.every = options.minutes * 60, options.every
    Epochs.save = staticmethod(lambda: write(model, train, start, options))
    model.fit(numbers, discrete)
    write(model, train, start, options)


if __name__ == "__main__":
    main()
