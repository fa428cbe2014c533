"""Memory and time of a continuous flow's training against its steps, by either gradient.

    python scripts/measure_adjoint.py --out runs/adjoint

Each row runs in its own process: FFJORD on 43 dimensions, 3 x 64 hidden units, Hutchinson's
trace, classical Runge-Kutta steps, batches of 512, by `fit`. Memory is the growth of the peak of a
process from batches of 512 to batches of 8,192, a fifteenth of it: what a step keeps of 512 rows.
Writes adjoint.json and a table adjoint.md.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from measure_depth import peak

NUM_STEPS = (4, 8, 16, 32)
GRADIENTS = ("backpropagation", "adjoint")
ROWS, MANY_ROWS = 512, 8192


def measure(num_steps: int, gradient: str) -> dict:
    """One row: milliseconds per step, the median, and mebibytes."""
    import keras
    import numpy as np

    from tfflows.models import FFJORD
    from tfflows.ode import FixedStep

    x = np.random.default_rng(0).normal(size=(MANY_ROWS, 43)).astype("float32")
    flow = FFJORD((43,), solver=FixedStep("rk4", num_steps), adjoint=gradient == "adjoint")
    flow.compile(keras.optimizers.Adam(1e-5), jit_compile=False)
    stamps = []
    stamp = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: stamps.append(time.time())
    )
    for size in (ROWS // 2, ROWS):  # the second is traced for every size
        flow.fit(x[: 2 * size], batch_size=size, verbose=0)
    flow.fit(x[: 12 * ROWS], batch_size=ROWS, verbose=0, callbacks=[stamp])
    before = peak()
    flow.fit(x, batch_size=MANY_ROWS, verbose=0)
    return {
        "num_steps": num_steps,
        "gradient": gradient,
        "milliseconds": 1e3 * float(np.median(np.diff(stamps))),
        "mebibytes": (peak() - before) / (MANY_ROWS / ROWS - 1),
    }


def table(rows: list[dict]) -> str:
    """The rows in Markdown."""
    lines = ["| Runge-Kutta steps | gradient | ms per step | MiB |", "|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row['num_steps']} | {row['gradient']} | {row['milliseconds']:.0f} "
            f"| {row['mebibytes']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every row, or the one that `--row` names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/adjoint"))
    parser.add_argument("--row", nargs=2, metavar=("STEPS", "GRADIENT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(measure(int(options.row[0]), options.row[1])))
        return
    rows = []
    for num_steps in NUM_STEPS:
        for gradient in GRADIENTS:
            command = [sys.executable, __file__, "--row", str(num_steps), gradient]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows.append(json.loads(output.splitlines()[-1]))
            print(rows[-1], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "adjoint.json").write_text(json.dumps(rows, indent=1) + "\n")
    (options.out / "adjoint.md").write_text(table(rows))


if __name__ == "__main__":
    main()
