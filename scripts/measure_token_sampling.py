"""Seconds that TarFlow takes to sample by each way of inversion, and to compile it.

    python scripts/measure_token_sampling.py --num 64 --patch 2 --out runs/token-sampling.json

The model has random weights near those of training's start, of 28x28 images. All ways are given
equal latents; the largest difference from the loop of full passes ("sequential") is said.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfflows.layers.transformer_autoregressive import INVERSIONS
from tfflows.models import TarFlow


def make(inversion: str, options: argparse.Namespace) -> TarFlow:
    """A model whose weights are the same for every inversion."""
    keras.utils.set_random_seed(0)
    flow = TarFlow(
        (28, 28, 1),
        options.patch,
        options.depth,
        options.width,
        options.num_blocks,
        num_components=options.num_components,
        quantization_levels=None,
        inversion=inversion,
    )
    rng = np.random.default_rng(0)
    for weight in flow.trainable_weights:
        value = ops.convert_to_numpy(weight)
        weight.assign(value + options.spread * rng.normal(size=value.shape))
    flow.compile("adam", jit_compile=True)
    return flow


def measure(inversion: str, z: np.ndarray, options: argparse.Namespace) -> tuple[dict, np.ndarray]:
    """Seconds of the first call and the median of later ones, and what the calls gave."""
    flow = make(inversion, options)
    times = []
    for _ in range(1 + options.repeats):
        begin = time.perf_counter()
        x = ops.convert_to_numpy(flow.inverse(z))
        times.append(time.perf_counter() - begin)
    seconds = statistics.median(times[1:])
    return {"seconds": seconds, "seconds_of_compiling": times[0] - seconds}, x


def main() -> None:
    """Measure each way, print and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--num", type=int, default=64, help="images")
    parser.add_argument("--patch", type=int, default=2)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--num-blocks", type=int, default=5)
    parser.add_argument("--num-components", type=int)
    parser.add_argument("--spread", type=float, default=0.02, help="of what is added to weights")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    side = 28 // options.patch
    latents = (options.num, side, side, options.patch**2)
    z = np.random.default_rng(1).normal(size=latents).astype("float32")
    rows, given = {}, {}
    for inversion in INVERSIONS:
        rows[inversion], given[inversion] = measure(inversion, z, options)
    for inversion, row in rows.items():
        row["times_faster"] = rows["sequential"]["seconds"] / row["seconds"]
        row["difference"] = float(np.abs(given[inversion] - given["sequential"]).max())
        print(inversion, json.dumps(row), flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"options": vars(options) | {"out": ""}, **rows}))


if __name__ == "__main__":
    main()
