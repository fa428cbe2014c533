"""Time and memory of Glow's training against its depth, with and without checkpointing.

    python scripts/measure_depth.py --out runs/depth --picture docs/images/depth.png

Each row runs in its own process: Glow on images 28x28x1, two levels of K steps, 128 filters,
batches of 64, by `fit`. Memory is the growth of the peak of the process from batches of 64 to
batches of 512, a seventh of it: what a step keeps of 64 rows, without weights, graphs
and libraries.
Writes depth.json, a table depth.md and a plot.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

DEPTHS = (4, 8, 16, 32)
STEPS = 12


def measure(depth: int, checkpoint: bool, jit: bool) -> dict:
    """One row: milliseconds per step, the median, and mebibytes."""
    import keras
    import numpy as np

    from tfflows.models import Glow

    x = np.random.default_rng(0).integers(0, 256, (64 * STEPS, 28, 28, 1)).astype("uint8")
    glow = Glow((28, 28, 1), depth=depth, checkpoint=checkpoint)
    glow.compile(keras.optimizers.Adam(1e-5), jit_compile=jit)
    stamps = []
    stamp = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: stamps.append(time.time())
    )
    for size in (16, 64):  # the second is traced for every size
        glow.fit(x[: 2 * size], batch_size=size, verbose=0)
    glow.fit(x, batch_size=64, verbose=0, callbacks=[stamp])
    milliseconds = 1e3 * float(np.median(np.diff(stamps)))
    before = peak()
    glow.fit(x[:512], batch_size=512, verbose=0)
    row = {"depth": depth, "checkpoint": checkpoint, "parameters": glow.count_params()}
    return {**row, "milliseconds": milliseconds, "mebibytes": (peak() - before) / 7}


def peak() -> float:
    """Largest resident memory of this process so far, in mebibytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(rows: list[dict]) -> str:
    """The rows in Markdown."""
    lines = [
        "| steps per level | checkpoint | parameters | ms per step | MiB |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['depth']} | {'yes' if row['checkpoint'] else 'no'} | {row['parameters']:,} | "
            f"{row['milliseconds']:.0f} | {row['mebibytes']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def draw(rows: list[dict], path: Path) -> None:
    """Time and memory against depth."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for panel, key, title in zip(
        panels,
        ("milliseconds", "mebibytes"),
        ("ms per training step", "MiB of activations"),
        strict=True,
    ):
        for checkpoint, label in ((False, "all kept"), (True, "checkpoint=True")):
            chosen = [row for row in rows if row["checkpoint"] == checkpoint]
            panel.plot(
                [row["depth"] for row in chosen], [row[key] for row in chosen], "o-", label=label
            )
        panel.set(title=title, xlabel="steps per level", ylim=(0, None), xticks=DEPTHS)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure every row, or the one that `--row` names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/depth"))
    parser.add_argument("--picture", type=Path, default=Path("docs/images/depth.png"))
    parser.add_argument("--jit", action="store_true", help="compile by XLA")
    parser.add_argument("--row", nargs=2, metavar=("DEPTH", "CHECKPOINT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        depth, checkpoint = options.row
        print(json.dumps(measure(int(depth), checkpoint == "True", options.jit)))
        return
    rows = []
    for depth in DEPTHS:
        for checkpoint in (False, True):
            command = [sys.executable, __file__, "--row", str(depth), str(checkpoint)]
            command += ["--jit"] * options.jit
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows.append(json.loads(output.splitlines()[-1]))
            print(rows[-1], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "depth.json").write_text(json.dumps(rows, indent=1) + "\n")
    (options.out / "depth.md").write_text(table(rows))
    draw(rows, options.picture)


if __name__ == "__main__":
    main()
