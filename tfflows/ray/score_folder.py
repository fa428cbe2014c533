"""The folder that `tfflows.ray.score` fills, so that a second call goes on where one stopped."""

import dataclasses
import json
import posixpath
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tfflows.ray.files import Place, SourceFile
from tfflows.utils.atomic import remove_leftovers

# Readers of data sets leave out names that begin with an underscore.
_DESCRIPTION = "_scores.json"


@dataclasses.dataclass(frozen=True)
class ScoreFolder:
    """A folder of scores, with a description of what was scored by what.

    Attributes:
        place: the folder.
        source: the folder that the files are in.
    """

    place: Place
    source: str

    def begin(self, meaning: Mapping[str, Any]) -> None:
        """Write what the scores are, or compare it with what is written.

        Args:
            meaning: model, source and settings.

        Raises:
            ValueError: the folder has scores of something else, or is the folder of the files.
            FileExistsError: it has other files.
        """
        inside = f"{str(self.place).rstrip('/')}/"
        if inside.startswith(f"{self.source.rstrip('/')}/"):
            raise ValueError(
                f"Scores must go to a folder outside of that of the rows, {self.source}. "
                f"Received: {self.place}"
            )
        description = self.place / _DESCRIPTION
        names = self._find_names()
        if names and _DESCRIPTION not in names:
            raise FileExistsError(
                f"{self.place} must be a new folder, or one of earlier scores of the same model. "
                f"Received: a folder with {min(names)}"
            )
        if names <= {_DESCRIPTION}:  # also where a call failed before its first file was scored
            self._write(description, meaning)
            return
        found = json.loads(description.read())
        for key, expected in meaning.items():
            if found.get(key) != expected:
                raise ValueError(
                    f"{self.place} has scores of another call, whose {key} was "
                    f"{_shown(key, found.get(key))}. Received: {_shown(key, expected)}; give "
                    "another folder, or remove that one"
                )

    def place_of(self, file: SourceFile) -> Place:
        """Where the scores of a file are."""
        return self.place / file.result_name

    def has(self, file: SourceFile) -> bool:
        """Whether the scores of a file are there, and not older than the file."""
        written = self.place_of(file).modified()
        return written is not None and written >= file.modified

    def finish(self, files: Iterable[SourceFile]) -> None:
        """Remove what workers that were killed have left; on this machine only."""
        if self.place.is_local:
            for folder in {posixpath.dirname(self.place_of(file).path) for file in files}:
                remove_leftovers(Path(folder))

    def _find_names(self):
        from pyarrow import fs

        selector = fs.FileSelector(self.place.path, allow_not_found=True)
        infos = self.place.filesystem.get_file_info(selector)
        return {posixpath.basename(info.path) for info in infos}

    def _write(self, description, meaning):
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / _DESCRIPTION
            local.write_text(json.dumps(meaning, indent=2) + "\n", "utf-8")
            description.upload(local)


def _shown(key, value):
    if key == "model":
        return f"one of weights {str(value)[:12]}..."
    return "all" if key == "columns" and value is None else repr(value)
