"""`scripts/benchmark --device gpu`: rows of several cases, by one Python, on a machine with a GPU.

All processes start at once, because compiling keeps most of them busy for a minute; then one at a
time works. The Python that runs the script must have the libraries: nothing is installed.
"""

import contextlib
import csv
import json
import math
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import environments, rows
from benchmarks.report import share

CALLS, SECONDS = 30, 0.25  # of log_prob and sample, a round


class Plan(NamedTuple):
    """A row: an adapter, its mode, and the training steps of a round."""

    adapter: str
    mode: str
    steps: int


# case -> its title and rows. Eager libraries take tens of milliseconds a step.
PLANS = {
    "glow-32": (
        "Glow, 32x32x3",
        [
            Plan("tfflows_jax", "jit", 20),
            Plan("tfflows_jax", "jit, bfloat16", 20),
            Plan("normflows", "eager", 4),
        ],
    ),
    "images-28": (
        "Image models, 28x28x1",
        [
            Plan("tfflows_jax", "Glow, jit", 150),
            Plan("tfflows_jax", "Glow, mixture couplings, jit", 100),
            Plan("tfflows_jax", "Jet, jit", 200),
            Plan("tfflows_jax", "TarFlow, patches, jit", 200),
            Plan("tfflows_jax", "TarFlow, pixels, jit", 60),
            Plan("normflows", "Glow, eager", 5),
        ],
    ),
    "maf-784": (
        "MAF, 784 dimensions",
        [
            Plan("tfflows_jax", "jit", 400),
            Plan("flowjax", "jit", 200),
            Plan("zuko", "eager", 10),
            Plan("normflows", "eager", 10),
        ],
    ),
    "nsf-43": (
        "Spline couplings, 43 dimensions",
        [
            Plan("tfflows_jax", "jit", 1000),
            Plan("flowjax", "jit", 100),
            Plan("zuko", "eager", 5),
        ],
    ),
    "realnvp-43": (
        "RealNVP, 43 dimensions",
        [
            Plan("tfflows_jax", "jit", 1000),
            Plan("flowjax", "jit", 200),
            Plan("zuko", "eager", 10),
            Plan("normflows", "eager", 10),
        ],
    ),
}
TINY = {
    "realnvp-43": "realnvp-tiny",
    "nsf-43": "nsf-tiny",
    "maf-784": "maf-tiny",
    "images-28": "images-tiny",
}
HEADINGS = [
    "flow",
    "library",
    "mode",
    "first step, s",
    "step, ms",
    "`fit` per step, ms",
    "log_prob, ms",
    "sample, ms",
    "parameters",
]


def run(
    out: Path,
    rounds: int,
    start_seconds: float,
    tiny: bool = False,
    cases: list[str] | None = None,
    limit_seconds: float = math.inf,
) -> None:
    """Time all rows, and write results.json and a CSV file named after the card into `out`.

    Both are written after each round, so that a run that is cut off leaves the rounds before.

    Args:
        out: folder of the results and of what each process prints.
        rounds: how often every action of every row is timed.
        start_seconds: after which rows that have not started are left out.
        tiny: the smallest case of each architecture, a few steps of it.
        cases: some of `PLANS`, all by default; they are then in the file's name.
        limit_seconds: after which no round begins, starting included.

    Raises:
        ValueError: `PLANS` has no such case.
    """
    end = time.monotonic() + limit_seconds
    names = list(cases or PLANS)
    unknown = sorted(set(names) - set(PLANS))
    if unknown:
        raise ValueError(f"--cases must be some of {list(PLANS)}. Received: {unknown}")
    out.mkdir(parents=True, exist_ok=True)
    started, failures = _start(out, start_seconds, tiny, names)
    print(f"Failed to start: {failures}", flush=True)
    results = {"card": card(), "rounds": rounds, "rows": [], "failures": failures}
    file_name = "-".join(["benchmark", *(cases or ()), results["card"]]).lower()
    path = out / f"{re.sub('[^a-z0-9]+', '-', file_name).strip('-')}.csv"
    finished = []
    for name, group in started.items():
        try:
            for _ in rows.each_round(group, rounds):
                results["rows"] = finished + _results(name, group)
                _write(results, out / "results.json", path)
                if time.monotonic() > end:
                    break
        except (RuntimeError, OSError) as error:
            failures[name] = str(error)
        for row in group:
            with contextlib.suppress(OSError):
                row.close()
        finished += _results(name, group)
    results["rows"] = finished
    _write(results, out / "results.json", path)
    print("\n".join(verdicts(finished)))
    print(f"Failed: {failures}\nWrote {path}", flush=True)


def _results(name, group):
    """What the rows of a case have given, of those that have done all."""
    return [{"case": name, **row.result()} for row in group if "sample" in row.times]


def _write(results, json_path, csv_path):
    """Write the results so far, and print their table."""
    table = make_table(results["rows"])
    json_path.write_text(json.dumps(results, indent=1) + "\n")
    with csv_path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(table)
    print("\n".join(" | ".join(cells) for cells in table), flush=True)


def card() -> str:
    """The name of the device that JAX, in a process of its own, finds."""
    import subprocess

    command = [sys.executable, "-c", "import jax; print(jax.devices()[0].device_kind)"]
    environment = environments.worker_environment(sys.executable, "gpu")
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=True
    ).stdout.strip()


def _start(out, start_seconds, tiny, names):
    """case -> its rows that started in time, and the others with the reason."""
    adapters = {adapter.name: adapter for adapter in environments.find_adapters()}
    started, failures, starting = {name: [] for name in names}, {}, []
    cores = threading.Semaphore(os.cpu_count() or 1)

    def start(plan, settings, log, place):
        with cores:
            if time.monotonic() > end:
                return
            row = rows.Row(adapters[plan.adapter], plan.mode, sys.executable, settings, log)
            place["row"] = row
            try:
                row.wait()
                place["is_ready"] = True
            except (RuntimeError, ValueError, OSError) as error:
                place["failure"] = str(error)

    end = time.monotonic() + start_seconds
    for name in names:
        for plan in PLANS[name][1]:
            settings = {
                "case": TINY.get(name, "glow-tiny") if tiny else name,
                "steps": min(plan.steps, 3) if tiny else plan.steps,
                "calls": CALLS,
                "seconds": SECONDS,
                "threads": 1,
                "device": "gpu",
            }
            log = out / f"{name}-{plan.adapter}-{plan.mode.replace(', ', '-')}.log"
            place = {}
            thread = threading.Thread(target=start, args=(plan, settings, log, place), daemon=True)
            thread.start()
            starting.append((name, plan, thread, place))
    for name, plan, thread, place in starting:
        thread.join(max(0.0, end - time.monotonic()))
        if "is_ready" in place:
            started[name].append(place["row"])
            continue
        if "row" in place:
            place["row"].end()
        reason = place.get("failure", f"not ready after {start_seconds} seconds")
        failures[f"{name}: {plan.adapter}, {plan.mode}"] = reason
    return {name: group for name, group in started.items() if group}, failures


def make_table(results: list[dict]) -> list[list[str]]:
    """Headings and a list of cells for each row, the flow's name only in its first."""
    table, last = [HEADINGS], None
    for row in results:
        medians = row["medians"]
        is_ours = "bare_train" in medians
        step = medians["bare_train" if is_ours else "train"]
        table.append(
            [
                "" if row["case"] == last else PLANS[row["case"]][0],
                row["library"],
                row["mode"],
                f"{row['first_step_seconds']:.1f}",
                f"{step:.2f}",
                f"{medians['train']:.2f}" if is_ours else "",
                f"{medians['log_prob']:.2f}",
                f"{medians['sample']:.2f}",
                str(row["parameters"]),
            ]
        )
        last = row["case"]
    return table


def verdicts(results: list[dict]) -> list[str]:
    """A sentence for each of our rows: `fit` over the step, and each action over each peer's."""
    sentences = []
    for ours in (row for row in results if row["library"] == "tfflows"):
        medians = ours["medians"]
        peers = [r for r in results if r["case"] == ours["case"] and r["library"] != "tfflows"]
        ratios = [
            f"{peer['library']} ({peer['mode']}): step "
            f"{share(medians['bare_train'] / peer['medians']['train'])}, "
            f"log_prob {share(medians['log_prob'] / peer['medians']['log_prob'])}, "
            f"sample {share(medians['sample'] / peer['medians']['sample'])}"
            for peer in peers
        ]
        fit = medians["train"] / medians["bare_train"]
        title = f"{PLANS[ours['case']][0]}, {ours['mode']}"
        sentences.append("; ".join([f"{title}: fit takes {fit:.2f} of the step", *ratios]) + ".")
    return sentences
