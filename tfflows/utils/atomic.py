"""Writing files and folders so that a failure leaves what was there before."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfflows.utils.remote import is_remote, remote_name, upload


@contextlib.contextmanager
def replaced_on_success(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` of the same suffix; rename it to `path` at the end.

    The parent folder is made. On any exception the temporary file or folder is removed, and
    `path` is as it was. For a remote path (gs://, ram://, ...) the temporary one is in a local
    folder, and is copied once it is whole.
    """
    if is_remote(path):
        name = remote_name(path)
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder, *name.rsplit("/", 2)[1:])
            temporary.parent.mkdir(exist_ok=True)
            yield temporary
            upload(temporary, name)
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{''.join(path.suffixes)}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove what `replaced_on_success` left in a folder when its process was killed.

    Nobody else may be writing in the folder.
    """
    for path in folder.glob(".*.tmp*"):
        if re.match(r"\..*\.\d+\.tmp", path.name):
            _remove(path)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
