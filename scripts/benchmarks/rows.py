"""The rows of the table as processes that wait for their turn."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.environments import Adapter, worker_environment


class Row:
    """One adapter in one mode: its process, and the times that it has given.

    Args:
        adapter: the library.
        mode: one of the adapter's modes.
        python: the interpreter to run it with.
        settings: what every worker gets: case, steps, calls, seconds, threads and device.
        log: file for whatever the process prints.
    """

    def __init__(self, adapter: Adapter, mode: str, python: str, settings: dict, log: Path):
        self.library, self.mode, self.group = adapter.library, mode, adapter.group
        self.times: dict[str, list[float]] = {}
        self.peak_megabytes = 0.0
        self._log = log
        request = {**settings, "adapter": str(adapter.path), "mode": mode}
        with log.open("w") as file:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.worker", json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=worker_environment(python, settings["device"]),
            )

    def wait(self) -> None:
        """Until the process has built its model."""
        ready = self._read()
        self.parameters, self.actions = ready["parameters"], ready["actions"]
        self.start_seconds = ready["start_seconds"]
        self.first_step_seconds = ready["first_step_seconds"]

    @property
    def name(self) -> str:
        """Library and mode."""
        return f"{self.library}, {self.mode}"

    def _read(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            last = (self._log.read_text().strip() or "nothing printed").splitlines()[-1]
            raise RuntimeError(f"exit code {code}: {last[:200]}")
        return json.loads(line)

    def run(self, action: str) -> None:
        """Let only this process work, and keep the milliseconds of one iteration."""
        self._process.stdin.write(action + "\n")
        self._process.stdin.flush()
        answer = self._read()
        self.times.setdefault(action, []).append(answer["milliseconds"])
        self.peak_megabytes = answer["peak_megabytes"]

    def end(self) -> None:
        """Kill a process that is not waited for any longer."""
        self._process.kill()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def result(self) -> dict:
        """What the report needs, as plain data."""
        return {
            "library": self.library,
            "mode": self.mode,
            "group": self.group,
            "parameters": self.parameters,
            "start_seconds": self.start_seconds,
            "first_step_seconds": self.first_step_seconds,
            "peak_megabytes": self.peak_megabytes,
            "times": self.times,
            "medians": {action: median(times) for action, times in self.times.items()},
        }


def start_rows(
    processes: list[tuple[Adapter, str]], pythons: dict[str, str], settings: dict, logs: Path
) -> tuple[list[Row], dict[str, str]]:
    """Start one adapter and mode after another; those that fail come back with the reason."""
    rows, failures = [], {}
    for adapter, mode in processes:
        print(f"Starting {adapter.name}, {mode} ...", flush=True)
        log = logs / f"{adapter.name}-{mode}.log"
        try:
            row = Row(adapter, mode, pythons[adapter.name], settings, log)
            row.wait()
            rows.append(row)
        except RuntimeError as error:
            failures[f"{adapter.library}, {mode}"] = str(error)
            print(f"  failed, {error}; see {log}", file=sys.stderr)
    return rows, failures


def run_rounds(rows: list[Row], rounds: int) -> None:
    """Time every action of every row once a round, each round beginning with another row."""
    for _ in each_round(rows, rounds):
        pass


def each_round(rows: list[Row], rounds: int) -> Iterator[int]:
    """The same, stopping after each round, whose number it yields."""
    actions = list(dict.fromkeys(action for row in rows for action in row.actions))
    for number in range(rounds):
        print(f"Round {number + 1} of {rounds} ...", flush=True)
        start = number % len(rows)
        for action in actions:
            for row in rows[start:] + rows[:start]:
                if action in row.actions:
                    row.run(action)
        yield number
