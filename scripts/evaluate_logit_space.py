"""Evaluate models of images as the MAF paper does: nats per image in logit space.

    python scripts/evaluate_logit_space.py runs/maf-mnist --data-dir TFDS [--gaussian]

The paper's numbers are densities of y = logit(alpha + (1 - 2 alpha) (u + U[0, 1)) / levels), so the
log-det of the first two layers of a model, Dequantize and Logit, is taken off its log_prob. One
draw of noise per row. `--gaussian` fits the paper's full-covariance Gaussian to y as well.
"""

import argparse
import math
from pathlib import Path

import keras
import numpy as np
from keras import ops

import tfflows
from tfflows.evaluation import GaussianBaseline
from tfflows.layers import Dequantize, Logit
from tfflows.runs import read_recipe
from tfflows.training.batch import Batch


def in_logit_space(layers, batch):
    """y `[batch, *event]` and log |det dy/dx| `[batch]` of the first two layers."""
    x, log_det = batch.x, 0.0
    for layer in layers:
        x, term = layer.forward_and_log_det(x, batch.condition)
        log_det = log_det + ops.convert_to_numpy(term).astype("float64")
    return ops.convert_to_numpy(x), log_det


def describe(name, values, dims, pixels):
    """A row of a table: nats in logit space, and bits/dim of the pixels."""
    error = 2 * values.std(ddof=1) / math.sqrt(len(values))
    bits = -pixels.mean() / (dims * math.log(2))
    print(f"| {name} | {values.mean():.1f} +- {error:.1f} | {bits:.3f} |", flush=True)


def evaluate(flow, batches):
    """Log-densities in logit space and of the pixels, `[rows]` each."""
    values, pixels = [], []
    for batch in batches:
        batch = Batch.parse(batch)
        log_prob = ops.convert_to_numpy(flow.log_prob(batch.x, batch.condition)).astype("float64")
        pixels.append(log_prob)
        values.append(log_prob - in_logit_space(flow.flow_layers[:2], batch)[1])
    return np.concatenate(values), np.concatenate(pixels)


def main():
    """Evaluate the runs that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders")
    parser.add_argument("--data-dir")
    parser.add_argument("--split", default="test")
    parser.add_argument("--gaussian", action="store_true")
    arguments = parser.parse_args()
    print("| model | nats in logit space | bits/dim |\n|---|---|---|")
    for run in arguments.runs:
        data = read_recipe(run / "recipe.yaml").data
        flow = keras.saving.load_model(run / "best.keras")
        layers = flow.flow_layers[:2]
        if [type(layer) for layer in layers] != [Dequantize, Logit]:
            parser.error(f"Expected a model that begins with Dequantize and Logit. Received: {run}")

        def load(split, data=data):
            dataset, _ = tfflows.datasets.load(
                data.name, split, data.conditional, arguments.data_dir or data.dir, **data.options
            )
            return dataset.batch(500)

        values, pixels = evaluate(flow, load(arguments.split))
        describe(run.name, values, flow.dims, pixels)
    if arguments.gaussian:
        spaces = {
            split: [in_logit_space(layers, Batch.parse(batch)) for batch in load(split)]
            for split in ("train", arguments.split)
        }
        gaussian = GaussianBaseline(y for y, _ in spaces["train"])
        values = np.concatenate([gaussian.log_prob(y) for y, _ in spaces[arguments.split]])
        log_det = np.concatenate([log_det for _, log_det in spaces[arguments.split]])
        describe("full-covariance Gaussian", values, flow.dims, values + log_det)


if __name__ == "__main__":
    main()
