"""A process that reads files, one after the other, and what became of each."""

import dataclasses
import multiprocessing
import os
import time
from pathlib import Path

import fuzzing.models  # noqa: F401, registers its kinds
from fuzzing.kinds import KINDS

SECONDS = 10.0
MAX_BYTES = 2 * 10**9


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a file: read, refused, or one of the failures of `report.FAILURES`."""

    name: str
    text: str = ""


class Worker:
    """Reads files in a process of its own, which is made again after a failure."""

    def __init__(self):
        self._context = multiprocessing.get_context("fork")
        self._process = None

    def read(self, kind: str, path: Path) -> Outcome:
        """Read a file, at most for 10 seconds and with at most 2 GB."""
        if self._process is None:
            self._start()
        self._connection.send((kind, str(path)))
        end = time.monotonic() + SECONDS
        while not self._connection.poll(0.02):
            if not self._process.is_alive():
                return self._failed("crash", f"exit code {self._process.exitcode}")
            if _resident_bytes(self._process.pid) - self._resident > MAX_BYTES:
                return self._failed("memory", "more than 2 GB")
            if time.monotonic() > end:
                return self._failed("hang", f"more than {SECONDS:g} s")
        try:
            return Outcome(*self._connection.recv())
        except EOFError:
            self._process.join()
            return self._failed("crash", f"exit code {self._process.exitcode}")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self):
        self._connection, other = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._connection.recv()  # what it imports is not the files' time, nor their memory
        self._resident = _resident_bytes(self._process.pid)

    def _failed(self, name, text):
        self.close()
        return Outcome(name, text)


def _serve(connection):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # of libraries that say on standard error what they then raise
    import tfflows.runs  # noqa: F401  the slowest import, before the clock runs

    connection.send("ready")
    while True:
        kind, path = connection.recv()
        connection.send(_outcome(KINDS[kind], Path(path)))


def _outcome(kind, path):
    try:
        kind.read(path)
    except (ValueError, OSError) as error:
        is_named = path.name in str(error)
        return ("refused" if is_named else "unnamed", str(error))
    except MemoryError as error:
        return ("memory", str(error))
    except Exception as error:
        return ("traceback", f"{type(error).__name__}: {error}")
    return ("read", "")


def _resident_bytes(pid):
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):  # it has just ended, or this is not Linux
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
