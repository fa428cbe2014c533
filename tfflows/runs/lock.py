"""One training at a time in the folder of a run."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder, which is made where it does not exist.

    The system lets go of the lock when the process ends, however it ends. A folder that has
    nothing in it afterwards is removed. Without `fcntl`, on Windows, nothing is locked.

    Args:
        folder: of the run.

    Raises:
        FileExistsError: another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = _acquire(folder)
    try:
        yield
    finally:
        if file is not None:
            (folder / _LOCK).unlink(missing_ok=True)
            os.close(file)
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()


def _acquire(folder):
    if fcntl is None:
        return None
    while True:
        file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise FileExistsError(
                f"Another process is training in {folder}: wait until it ends, or give another "
                "folder"
            ) from None
        if _is_current(folder, file):
            return file
        os.close(file)  # the one before removed its file between our two calls


def _is_current(folder, file):
    try:
        return os.path.samestat(os.stat(folder / _LOCK), os.fstat(file))
    except FileNotFoundError:
        return False
