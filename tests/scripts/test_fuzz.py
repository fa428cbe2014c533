"""Damaged files of every kind are read, or refused by name; and the fuzzer notices what is not."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from marks import needs_tensorflow

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def fuzzing(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from fuzzing import kinds, report, worker

    return kinds, report, worker


@needs_tensorflow
def test_no_damaged_file_gives_a_traceback_a_hang_or_gigabytes():
    command = [sys.executable, str(SCRIPTS / "fuzz"), "--files", "120", "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head, *rows, total = [line.split() for line in done.stdout.splitlines()]
    assert head[:4] == ["kind", "tried", "read", "refused"]
    assert [row[1] for row in rows] == ["10"] * 12
    # Neither all nor none is damaged beyond reading.
    assert all(int(row[3]) and (int(row[2]) or row[0] == "card") for row in rows)
    assert total[:2] == ["all", "120"]


def test_equal_seeds_make_equal_files(fuzzing):
    kinds, report, _ = fuzzing
    for name in kinds.KINDS:
        if name not in ("npz", "parquet"):  # archives hold the time, Parquet its own order
            first, again, other = (
                [report.make(name, seed, number) for number in range(4)] for seed in (0, 0, 1)
            )
            assert first == again
            assert first != other


class Faulty:
    """What readers must not do."""

    suffix = ".txt"

    def __init__(self, read):
        self.read = read


def _hang(path):
    time.sleep(30)


def _fail(path):
    raise ValueError("something is wrong")


def _divide(path):
    return 1 / 0


def _end(path):
    import os

    os._exit(11)


def _fill(path):
    held = []
    while True:
        held.append(bytearray(b"x" * 50_000_000))


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (_hang, "hang"),
        (_fail, "unnamed"),
        (_divide, "traceback"),
        (_end, "crash"),
        pytest.param(_fill, "memory", marks=pytest.mark.slow),
        (len, "traceback"),
        (str, "read"),
    ],
)
def test_the_worker_tells_failures_apart_and_lives_on(
    fuzzing, monkeypatch, tmp_path, read, outcome
):
    kinds, report, worker = fuzzing
    monkeypatch.setattr(worker, "SECONDS", 0.5 if outcome == "hang" else 10)
    monkeypatch.setattr(worker, "MAX_BYTES", 1_500_000_000)
    monkeypatch.setitem(kinds.KINDS, "faulty", Faulty(read))
    one = worker.Worker()
    got = one.read("faulty", tmp_path / "x.txt")
    assert got.name == outcome, got
    counts = Counter([got.name])
    assert (outcome in report.FAILURES) == (outcome != "read")
    assert outcome in report.table({"faulty": counts})
    monkeypatch.setitem(kinds.KINDS, "faulty", Faulty(str))
    assert worker.Worker().read("faulty", tmp_path / "x.txt").name == "read"
    one.close()
