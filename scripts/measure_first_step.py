"""How long the first training step takes, and the later ones, each model in a process of its own.

    python scripts/measure_first_step.py --out runs/first-step
    python scripts/measure_first_step.py --models glow-3x8x64 --ways jax --cache /tmp/compiled

`adapt` takes the statistics of the layers, `first` is the first call of `train_on_batch`, which
compiles, `step` the median of later ones. With `--cache` each row runs twice on one folder of what
JAX compiled, and the second is the one that counts. Writes first-step.json and a table,
first-step.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

MODELS = {  # model, arguments, shape of an event, rows of a batch
    "glow-3x8x64": ("Glow", {"num_levels": 3, "depth": 8, "filters": 64}, (32, 32, 3), 32),
    "glow-3x32x512": ("Glow", {"num_levels": 3, "depth": 32, "filters": 512}, (32, 32, 3), 8),
    "realnvp-43": ("RealNVP", {}, (43,), 512),
    "nsf-43": ("NSF", {}, (43,), 512),
    "maf-63": ("MAF", {"hidden_units": [512, 512]}, (63,), 100),
    "jet-28": ("Jet", {}, (28, 28, 1), 64),
}
WAYS = {"jax": ("jax", True), "tensorflow-xla": ("tensorflow", True)}
WAYS["tensorflow-graph"] = ("tensorflow", False)


def measure(name: str, jit: bool, scan_layers: bool, cache: str | None) -> dict:
    """One row: seconds of `adapt` and of the first step, milliseconds of a later one."""
    import keras
    import numpy as np

    from tfflows import models
    from tfflows.training import use_compilation_cache

    if cache:
        use_compilation_cache(cache)
    model, arguments, shape, rows = MODELS[name]
    flow = getattr(models, model)(shape, **arguments)
    flow.compile(keras.optimizers.Adam(1e-5), jit_compile=jit, scan_layers=scan_layers)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (rows, *shape)) if len(shape) == 3 else rng.normal(size=(rows, *shape))
    x = x.astype("float32")
    times = []
    for call in (flow.adapt, *[flow.train_on_batch] * 12):
        start = time.perf_counter()
        call(x)
        times.append(time.perf_counter() - start)
    adapt, first, *later = times
    return {"adapt": adapt, "first": first, "step": 1e3 * sorted(later)[len(later) // 2]}


def run(name: str, way: str, scan_layers: bool, cache: str | None) -> dict:
    """`measure` in its own process, after one that fills the cache."""
    backend, jit = WAYS[way]
    arguments = json.dumps({"name": name, "jit": jit, "scan_layers": scan_layers, "cache": cache})
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for _ in range(2 if cache else 1):
        done = subprocess.run(
            [sys.executable, __file__, "--worker", arguments],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure what the options name, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--scan-layers", action="store_true", help="scan over equal layers")
    parser.add_argument("--cache", help="folder for what JAX compiles")
    parser.add_argument("--out", type=Path, default=Path("runs/first-step"))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(**json.loads(options.worker))))
        return
    rows = []
    for name in options.models:
        for way in options.ways:
            found = run(name, way, options.scan_layers, options.cache)
            rows.append({"model": name, "way": way, **found})
            print(rows[-1], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "first-step.json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = ["| model | way | adapt, s | first step, s | step, ms |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['model']} | {row['way']} | {row['adapt']:.1f} | {row['first']:.1f} "
        f"| {row['step']:.1f} |"
        for row in rows
    ]
    (options.out / "first-step.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
