"""The command line of `scripts/benchmark`."""

import argparse
import dataclasses
import json
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks import environments, gpu, report, rows
from benchmarks.cases import find_case

EPILOG = """Each library runs in its own environment under .benchmark/, made on first use.
To add one, write scripts/benchmarks/adapters/<library>.py; the package's docstring says how."""


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1. Received: {text}")
    return number


def _library_python(text: str) -> tuple[str, str]:
    library, separator, python = text.partition("=")
    if not separator or not python:
        raise argparse.ArgumentTypeError(f"must be LIBRARY=PYTHON. Received: {text}")
    return library, python


def parse(arguments=None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark",
        description="Time training by fit, log_prob and sample of one architecture in tfflows and "
        "other libraries, each in its own process, in interleaved rounds.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--device",
        choices=("cpu", "gpu"),
        default="cpu",
        help="gpu: all rows of scripts/benchmarks/gpu.py, by this Python and what it has",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="gpu: the smallest cases, which a CPU runs too"
    )
    parser.add_argument(
        "--start-seconds", type=_positive, default=120, help="gpu: after which no row is waited for"
    )
    parser.add_argument(
        "--limit-seconds", type=_positive, default=3600, help="gpu: after which no round begins"
    )
    parser.add_argument("--cases", nargs="+", help="gpu: some of its cases; all by default")
    parser.add_argument(
        "--case", default="realnvp-43", help="a name in scripts/benchmarks/cases.py"
    )
    parser.add_argument("--libraries", nargs="+", default=[], help="some of them; all by default")
    parser.add_argument("--modes", nargs="+", default=[], help="such as XLA; all by default")
    parser.add_argument("--rounds", type=_positive, default=7)
    parser.add_argument("--steps", type=_positive, default=200, help="training steps a round")
    parser.add_argument("--calls", type=_positive, default=50, help="calls of the others a round")
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=10,
        help="after which no more calls of an action are made in a round",
    )
    parser.add_argument("--threads", type=_positive, default=2, help="cores for every library")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"))
    parser.add_argument(
        "--python",
        nargs="+",
        type=_library_python,
        default=[],
        metavar="LIBRARY=PYTHON",
        help="interpreters that have a library already, instead of an environment made here",
    )
    parser.add_argument("--adapters", type=Path, default=environments.ADAPTERS, help="their folder")
    return parser.parse_args(arguments)


def write(results: dict, out: Path, python: str | None) -> None:
    """results.json, table.md and, with a Python that has matplotlib, times.png."""
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    table = report.markdown(results)
    (out / "table.md").write_text(table)
    print("\n" + table)
    if python is not None:
        command = [python, "-m", "benchmarks.plot", out / "results.json", out / "times.png"]
        subprocess.run(command, check=True, env=environments.worker_environment(python))
    print(f"Wrote {out}")


def main(arguments=None) -> int:
    """Make the environments, time everything, write the report; 1 where it cannot be done."""
    options = parse(arguments)
    try:
        if options.device == "gpu":
            gpu.run(
                options.out,
                options.rounds,
                options.start_seconds,
                options.tiny,
                options.cases,
                options.limit_seconds,
            )
        else:
            run(options)
    except (ValueError, RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Time what the options name, and write the report."""
    case = find_case(options.case)
    adapters = environments.choose_adapters(
        environments.find_adapters(options.adapters), options.libraries, case.architecture
    )
    given = dict(options.python)
    pythons = {adapter.name: environments.python_of(adapter, given) for adapter in adapters}
    names = ("case", "steps", "calls", "seconds", "threads")
    settings = {name: getattr(options, name) for name in names} | {"device": "cpu"}
    options.out.mkdir(parents=True, exist_ok=True)
    processes = [
        (adapter, mode)
        for adapter in adapters
        for mode in adapter.modes[case.architecture]
        if not options.modes or mode in options.modes
    ]
    started, failures = rows.start_rows(processes, pythons, settings, options.out)
    try:
        if not started:
            raise RuntimeError(f"No library started. Received: {failures}")
        rows.run_rounds(started, options.rounds)
    finally:
        for row in started:
            row.close()
    results = {
        "settings": {**settings, "rounds": options.rounds},
        "case": dataclasses.asdict(case),
        "machine": {"processor": platform.machine(), "system": platform.platform()},
        "rows": [row.result() for row in started],
        "failures": failures,
    }
    plotting = next((pythons[a.name] for a in adapters if a.library == "tfflows"), None)
    write(results, options.out, plotting)
