"""Files to score and folders of scores, on this machine or in a store that pyarrow reaches."""

import contextlib
import dataclasses
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfflows.utils.remote import is_remote, remote_name

SUFFIXES = (".csv", ".parquet")
# Where an object appears only when all of it is there.
_WRITE_WHOLE = ("s3", "gcs", "abfs")


@dataclasses.dataclass(frozen=True)
class Place:
    """A file or folder.

    Attributes:
        filesystem: a `pyarrow.fs.FileSystem`.
        path: its path there.
        scheme: of its URI, such as "s3", or "" for this machine.
    """

    filesystem: Any = dataclasses.field(compare=False, repr=False)
    path: str
    scheme: str = ""

    @classmethod
    def of(cls, path: str | Path) -> "Place":
        """The place of a path of this machine, or of a URI that pyarrow knows.

        Raises:
            ValueError: pyarrow does not reach such a URI.
        """
        import pyarrow as pa
        from pyarrow import fs

        if not is_remote(path):
            return cls(fs.LocalFileSystem(), Path(path).absolute().as_posix())
        uri = path if isinstance(path, str) else remote_name(path)
        try:
            filesystem, inside = fs.FileSystem.from_uri(uri)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{uri} is not in a store that pyarrow reaches: {error}") from error
        scheme = "" if filesystem.type_name == "local" else uri.partition(":")[0]
        return cls(filesystem, inside.rstrip("/"), scheme)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}" if self.scheme else self.path

    def __truediv__(self, name: str) -> "Place":
        return dataclasses.replace(self, path=posixpath.join(self.path, name))

    @property
    def is_local(self) -> bool:
        """Whether `path` is one of this machine."""
        return self.filesystem.type_name == "local"

    def modified(self) -> int | None:
        """Nanoseconds of the last change of a file, or None where there is none."""
        info = self.filesystem.get_file_info(self.path)
        return info.mtime_ns if info.is_file else None

    def read(self) -> bytes:
        """The content of a file."""
        with self.filesystem.open_input_stream(self.path) as file:
            return file.read()

    @contextlib.contextmanager
    def local_copy(self) -> Iterator[Path]:
        """A path of this machine with the content of the file; of a local file its own."""
        from pyarrow import fs

        if self.is_local:
            yield Path(self.path)
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / posixpath.basename(self.path)
            fs.copy_files(
                self.path,
                str(copy),
                source_filesystem=self.filesystem,
                destination_filesystem=fs.LocalFileSystem(),
            )
            yield copy

    def upload(self, local: Path) -> None:
        """Write a local file here, which is seen when all of it is there."""
        from pyarrow import fs

        is_atomic = self.filesystem.type_name in _WRITE_WHOLE
        target = self.path
        if not is_atomic:
            folder, name = posixpath.split(self.path)
            self.filesystem.create_dir(folder)
            target = f"{folder}/.{name}.{os.getpid()}.tmp"
        fs.copy_files(
            str(local),
            target,
            source_filesystem=fs.LocalFileSystem(),
            destination_filesystem=self.filesystem,
        )
        if not is_atomic:
            self.filesystem.move(target, self.path)


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file to score.

    Attributes:
        place: where it is.
        name: its path below the folder that all files are in.
        modified: nanoseconds of its last change.
    """

    place: Place
    name: str
    modified: int

    @property
    def result_name(self) -> str:
        """Name of the Parquet file of its scores."""
        return self.name if self.name.endswith(".parquet") else f"{self.name}.parquet"


def find_files(source: str | Path | Sequence[str | Path]) -> tuple[str, list[SourceFile]]:
    """The folder that all files are in, and the files, by name.

    A folder is searched with its subfolders, in which names that begin with "." or "_" are left
    out, as other engines do.

    Args:
        source: a folder, a file, or a list of files; paths of this machine or URIs (s3://, gs://,
            hdfs://, ...).

    Raises:
        FileNotFoundError: nothing is there, or no .csv or .parquet file is in the folder.
        ValueError: a file has another suffix, or a list is empty or has files of several stores.
    """
    from pyarrow import fs

    if isinstance(source, str | Path):
        place = Place.of(source)
        kind = place.filesystem.get_file_info(place.path).type
        if kind == fs.FileType.Directory:
            return str(place), _files_in(place)
        source = [source]
    places = [Place.of(path) for path in source]
    if not places:
        raise ValueError("Expected files to score. Received: an empty list")
    if len({place.scheme for place in places}) > 1:
        raise ValueError(f"Expected files of one store. Received: {places[0]} and {places[-1]}")
    files = [_file(place) for place in dict.fromkeys(places)]
    root = posixpath.commonpath([posixpath.dirname(file.place.path) for file in files])
    named = [
        dataclasses.replace(file, name=posixpath.relpath(file.place.path, root)) for file in files
    ]
    return str(dataclasses.replace(places[0], path=root)), sorted(named, key=lambda f: f.name)


def _file(place):
    modified = place.modified()
    if modified is None:
        raise FileNotFoundError(f"There is no file or folder {place}")
    if Path(place.path).suffix not in SUFFIXES:
        raise ValueError(
            f"A file must have one of the suffixes {list(SUFFIXES)}. Received: {place}"
        )
    return SourceFile(place, place.path, modified)


def _files_in(folder):
    from pyarrow import fs

    files = []
    for info in folder.filesystem.get_file_info(fs.FileSelector(folder.path, recursive=True)):
        name = posixpath.relpath(info.path, folder.path)
        is_hidden = re.search(r"(^|/)[._]", name) is not None
        if info.is_file and not is_hidden and Path(name).suffix in SUFFIXES:
            place = dataclasses.replace(folder, path=info.path)
            files.append(SourceFile(place, name, info.mtime_ns))
    if not files:
        raise FileNotFoundError(f"There is no .csv or .parquet file in {folder}")
    return sorted(files, key=lambda file: file.name)
