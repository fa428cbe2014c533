"""The actor that scores one file at a time."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.datasets.readers.table import open_table
from tfflows.evaluation.scoring import check_columns, score_file
from tfflows.flow import Flow
from tfflows.ray.files import Place, SourceFile
from tfflows.ray.score_folder import ScoreFolder
from tfflows.ray.shipped_model import ShippedModel
from tfflows.serving.served_flow import ServedFlow
from tfflows.utils.damage import shortened
from tfflows.utils.errors import first_paragraph, is_of_system


@dataclasses.dataclass(frozen=True)
class ScoreSettings:
    """Arguments of `score_file`."""

    columns: Sequence[str | int] | None
    condition_columns: Sequence[str | int]
    batch_size: int
    missing: str
    keep: Sequence[str | int]

    def check(self, flow: Flow | ServedFlow, path: Path) -> None:
        """ValueError where the columns of a file do not fit the flow."""
        check_columns(flow, path, self.columns, self.condition_columns, self.keep)

    def meaning(self) -> dict[str, Any]:
        """What changes the scores, as JSON holds it."""
        return {
            "columns": None if self.columns is None else list(self.columns),
            "condition_columns": list(self.condition_columns),
            "missing": self.missing,
            "keep": list(self.keep),
        }


@dataclasses.dataclass(frozen=True)
class Header:
    """Names of the columns of a file, which all files must have."""

    place: Place
    names: tuple[str, ...]

    @classmethod
    def of_first(
        cls, files: Sequence[SourceFile], check: Callable[[Path], None] | None = None
    ) -> "Header | None":
        """The header of the first file that can be read, which `check` may refuse."""
        for file in files:
            with file.place.local_copy() as path:
                try:
                    names = tuple(open_table(path).names)
                except ValueError:
                    continue
                if check is not None:
                    with _named(path, file.place):
                        check(path)
                return cls(file.place, names)
        return None

    def check(self, names: Sequence[str], place: Place, in_order: bool) -> None:
        """ValueError for a file with other columns, or, if asked for, with another order."""
        if sorted(names) != sorted(self.names) or (in_order and tuple(names) != self.names):
            raise ValueError(
                f"{place} differs in columns from {self.place}: expected "
                f"{shortened(list(self.names), 200)}. Received: {shortened(list(names), 200)}; "
                "name those of x by columns="
            )


@contextlib.contextmanager
def _named(path: Path, place: Place) -> Iterator[None]:
    """Errors say the place of a file, and not where its copy is."""
    try:
        yield
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), str(place))) from error


class FileScorer:
    """Scores files by their number: a callable class of Ray Data.

    Args:
        model: to load once, here.
        folder: where the scores go.
        files: those that the numbers mean.
        settings: how to score.
        header: of a file whose columns all must have.
    """

    def __init__(
        self,
        model: ShippedModel,
        folder: ScoreFolder,
        files: Sequence[SourceFile],
        settings: ScoreSettings,
        header: Header | None,
    ):
        self._flow = model.load()
        self._folder, self._files = folder, files
        self._settings, self._header = settings, header

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        """Score a file; returns a row with its counts, or with what is wrong."""
        (number,) = batch["number"]
        result: dict[str, Any] = {"number": int(number), "rows": 0, "missing": 0, "dropped": 0}
        result |= {"error": "", "is_bad_file": False}
        try:
            done = self._score(self._files[number])
            result |= {"rows": done.rows, "missing": done.missing, "dropped": done.dropped}
        except (ValueError, OSError) as error:
            text = first_paragraph(error).rstrip(".")
            place = str(self._files[number].place)
            result["error"] = text if place in text else f"{place}: {text}"
            result["is_bad_file"] = not is_of_system(error)
        return {key: [value] for key, value in result.items()}

    def _score(self, file):
        settings = self._settings
        with file.place.local_copy() as path, tempfile.TemporaryDirectory() as temporary:
            target = self._folder.place_of(file)
            out = Path(target.path if target.is_local else f"{temporary}/scores.parquet")
            with _named(path, file.place):
                if settings.columns is None and self._header is not None:
                    in_order = self._flow.data_schema.columns is None
                    self._header.check(open_table(path).names, file.place, in_order)
                done = score_file(
                    self._flow,
                    path,
                    out,
                    settings.columns,
                    settings.condition_columns,
                    settings.batch_size,
                    missing=settings.missing,
                    keep=settings.keep,
                )
            if not target.is_local:
                target.upload(out)
        return done
