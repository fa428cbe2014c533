"""recipe.yaml of a detector of anomalies: its normal rows, its anomalies, and its settings."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic

from tfflows.anomaly.detector import AnomalyDetector
from tfflows.anomaly.files import Labelled, read_file
from tfflows.anomaly.rows import take
from tfflows.datasets import DatasetInfo, load_rows
from tfflows.datasets.splits import split_rows
from tfflows.runs.curve import CURVE
from tfflows.runs.lock import locked
from tfflows.runs.run import versions
from tfflows.runs.settings import read_yaml, write_yaml
from tfflows.runs.table_run import CurveFile
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.schema import Section, readable_error

RECIPE, DETECTOR, FACTS = "recipe.yaml", "detector.keras", "run.json"

Count = Annotated[int, pydantic.Field(ge=0)]
Text = Annotated[str, pydantic.Field(min_length=1)]


class DetectorData(Section):
    """Normal rows and anomalies: of one file that labels them, or of two data sets.

    With `file`, `labels` names the column or array that is 1 for anomalies; the detector is fitted
    to a share of the normal rows, and `test`, another share that `seed` draws, is tested beside all
    anomalies. `source` says where the file is from. Without it, `name` and `anomalies` are data
    sets by their names: the detector is fitted to the training rows of the first, and tested on the
    test rows of both.
    """

    name: Text
    file: Text | None = None
    labels: Text = "y"
    source: Text | None = None
    test: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.5
    anomalies: Text | None = None
    seed: Count = 0

    @pydantic.model_validator(mode="after")
    def _is_one_of_both(self):
        if (self.file is None) == (self.anomalies is None) or (self.file and not self.source):
            raise ValueError("expected a `file` with its `source`, or the data set `anomalies`")
        return self


class DetectorFit(Section):
    """Arguments of `AnomalyDetector`."""

    score: Text = "auto"
    false_alarm_rate: float = 0.05
    contamination: float = 0.0
    calibration: float = 0.2
    max_minutes: float | None = 1.5
    seed: Count = 0


class DetectorRecipe(Section):
    """What fits a detector of the zoo, and what tests it."""

    data: DetectorData
    detector: DetectorFit

    @classmethod
    def read(cls, path: str | Path) -> "DetectorRecipe":
        """The recipe of a YAML file.

        Raises:
            ValueError: the file is not YAML, or a key or value cannot be.
            OSError: the file cannot be read.
        """
        try:
            return cls.model_validate(read_yaml(path))
        except pydantic.ValidationError as error:
            raise readable_error(error, cls, str(path)) from error

    def write(self, path: str | Path) -> None:
        """Write the recipe as YAML."""
        with replaced_on_success(path) as temporary:
            write_yaml(self.model_dump(exclude_defaults=True), temporary)

    def rows(self, split: str, data_dir: str | Path | None = None) -> Labelled:
        """The rows of a split with their labels, normal ones first.

        Args:
            split: "train", which has normal rows only, or "test".
            data_dir: folder of the file, by default the working directory; or of the data sets.

        Raises:
            FileNotFoundError: the data are not there.
            ValueError: there is no such split, or the file holds something else.
        """
        if split not in ("train", "test"):
            raise ValueError(f"Expected the split 'train' or 'test'. Received: {split!r}")
        if self.data.file is not None:
            normal, abnormal = self._of_file(Path(data_dir or ".") / self.data.file, split)
        else:
            normal = _images(self.data.name, split, data_dir)[0]
            abnormal = normal[:0]
            if split == "test":
                abnormal = _images(self.data.anomalies, split, data_dir)[0]
        labels = np.repeat([False, True], [len(normal), len(abnormal)])
        return Labelled(_concatenate(normal, abnormal), labels)

    def source(self, data_dir: str | Path | None = None) -> str:
        """Where the data are from."""
        if self.data.source is not None:
            return self.data.source
        names = (self.data.name, self.data.anomalies)
        return "; anomalies: ".join(_images(name, "test", data_dir)[1].source for name in names)

    def _of_file(self, path, split):
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no {path}: give the folder of {self.data.file} as the folder of the "
                f"data. Its source: {self.data.source}"
            )
        rows, labels = read_file(path, self.data.labels)
        assert labels is not None
        normal, abnormal = np.flatnonzero(~labels), np.flatnonzero(labels)
        fractions = {"test": self.data.test}
        places = split_rows(self.data.name, len(normal), split, fractions, self.data.seed)
        abnormal = abnormal if split == "test" else abnormal[:0]
        return take(rows, normal[places]), take(rows, abnormal)


def _images(name, split, data_dir) -> tuple[np.ndarray, DatasetInfo]:
    rows, info = load_rows(name, split, data_dir=data_dir)
    return np.asarray(rows.x[:]), info


def _concatenate(normal, abnormal):
    if isinstance(normal, np.ndarray):
        return np.concatenate([normal, abnormal])
    import pandas as pd

    return pd.concat([normal, abnormal], ignore_index=True)


def fit_detector(
    recipe: DetectorRecipe,
    folder: str | Path,
    data_dir: str | Path | None = None,
    callbacks: Any = (),
) -> AnomalyDetector:
    """Fit a detector by a recipe; `save_to_zoo` makes a model of the run.

    Args:
        recipe: of the detector.
        folder: a new or empty one, for detector.keras and what the zoo needs beside it.
        data_dir: as in `DetectorRecipe.rows`.
        callbacks: of the training.

    Raises:
        FileExistsError: the folder holds a detector already.
        FileNotFoundError, ValueError: as `DetectorRecipe.rows` and `AnomalyDetector.fit`.
    """
    folder = Path(folder)
    if (folder / DETECTOR).exists():
        raise FileExistsError(f"{folder} holds a detector already: give another folder")
    rows = recipe.rows("train", data_dir).rows
    with locked(folder):
        recipe.write(folder / RECIPE)
        detector = AnomalyDetector(**recipe.detector.model_dump())
        detector.fit(rows, callbacks=[CurveFile(folder / CURVE), *callbacks])
        facts = {"seed": recipe.detector.seed, "versions": versions()}
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        detector.save(folder / DETECTOR)
    return detector
