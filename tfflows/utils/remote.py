"""Paths of file systems that TensorFlow reaches and Python does not: gs://, s3://, ram://, ..."""

import re
from pathlib import Path

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/+")  # not a drive, which is one letter


def is_remote(path: str | Path) -> bool:
    """Whether a path names another file system, such as "gs://bucket/model.keras"."""
    return _SCHEME.match(str(path)) is not None


def remote_name(path: str | Path) -> str:
    """The path as it was meant: `pathlib` makes one slash of two."""
    return _SCHEME.sub(r"\1://", str(path))


def refuse_remote(what: str, path: str | Path) -> None:
    """Raise ValueError for a remote path where only a local one can be."""
    if is_remote(path):
        raise ValueError(
            f"{what} must be on this machine: write it here, and copy it with "
            f"`tf.io.gfile.copy` or the store's own command. Received: {remote_name(path)}"
        )


def exists(path: str | Path) -> bool:
    """Whether there is a file or folder, here or on another file system."""
    if not is_remote(path):
        return Path(path).exists()
    return _gfile(path).exists(remote_name(path))


def names_in(folder: str | Path) -> list[str]:
    """Names of what is in a folder, here or on another file system; none if there is no folder."""
    if not is_remote(folder):
        return [child.name for child in Path(folder).glob("*")]
    gfile, name = _gfile(folder), remote_name(folder)
    return [child.rstrip("/") for child in gfile.listdir(name)] if gfile.isdir(name) else []


def upload(local: Path, path: str | Path) -> None:
    """Copy a local file or folder to a remote path; what is there is replaced.

    Raises:
        OSError: the other file system cannot be written.
    """
    import tensorflow as tf

    gfile, target = _gfile(path), remote_name(path)
    files = sorted(file for file in local.rglob("*") if file.is_file())
    try:
        for source in files if local.is_dir() else [local]:
            inside = source.relative_to(local).as_posix()
            name = target if source == local else f"{target}/{inside}"
            gfile.makedirs(name.rpartition("/")[0])
            gfile.copy(str(source), name, overwrite=True)
    except tf.errors.OpError as error:
        raise OSError(
            f"{target} could not be written: {error.message}. Write to a local path, and copy that"
        ) from error


def _gfile(path):
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            f"{remote_name(path)} is reached by TensorFlow, which is not installed: write to a "
            "local path, and copy that"
        ) from error
    return tf.io.gfile
