"""Damaged files in turn, and the table of what became of them."""

import collections
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fuzzing.kinds import KINDS
from fuzzing.worker import Worker

OUTCOMES = ("read", "refused", "unnamed", "traceback", "hang", "memory", "crash")
FAILURES = OUTCOMES[2:]


def run(
    kinds: Sequence[str], seed: int, seconds: float | None, files: int | None, keep: Path | None
) -> int:
    """Read damaged files until a number or a time is reached; the exit code.

    Args:
        kinds: names of kinds, in turn.
        seed: file i of a kind depends on the seed, the kind and i.
        seconds: time to take; None for no limit.
        files: number of files; None for no limit.
        keep: folder for files that fail, or None.
    """
    counts = {name: collections.Counter() for name in kinds}
    end = None if seconds is None else time.monotonic() + seconds
    worker = Worker()
    with tempfile.TemporaryDirectory(prefix="fuzz_") as folder:
        for i, name in zip(itertools.count(), itertools.cycle(kinds)):
            if i == files or (end is not None and time.monotonic() > end):
                break
            number = i // len(kinds)
            content = make(name, seed, number)
            path = Path(folder) / f"{name}{KINDS[name].suffix}"
            path.write_bytes(content)
            outcome = worker.read(name, path)
            counts[name][outcome.name] += 1
            if outcome.name in FAILURES:
                print(f"{name} {number}: {outcome.name}: {outcome.text[:300]!r}", flush=True)
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{outcome.name}-{seed}-{number}{path.suffix}").write_bytes(content)
    worker.close()
    print(table(counts))
    return int(any(count[failure] for count in counts.values() for failure in FAILURES))


def make(name: str, seed: int, number: int) -> bytes:
    """The damaged file of a number."""
    return KINDS[name].make(np.random.default_rng([seed, sum(name.encode()), number]))


def table(counts: dict[str, collections.Counter]) -> str:
    """A row per kind: files tried, and what became of them."""
    total = sum(counts.values(), collections.Counter())
    lines = [f"{'kind':>10} {'tried':>7} " + " ".join(f"{name:>9}" for name in OUTCOMES)]
    for name, count in [*counts.items(), ("all", total)]:
        cells = " ".join(f"{count[outcome]:>9}" for outcome in OUTCOMES)
        lines.append(f"{name:>10} {sum(count.values()):>7} {cells}")
    return "\n".join(lines)
