"""Runs on tables: a TableFlow that was fitted to files, in a folder.

| in the folder | what |
|---|---|
| model.keras | the flow with the lowest held-out nll |
| schema.yaml | the columns |
| metrics.jsonl | one line per epoch |
| run.json | the data, which rows were held out, versions |
| report.html | what came of it, where it was asked for |
"""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfflows.runs.curve import CURVE, Epoch, best_epoch, read_epochs
from tfflows.runs.lock import locked
from tfflows.runs.run import versions
from tfflows.tables import Schema, TableFlow
from tfflows.tables.columns import Cells
from tfflows.tables.fitting import fit, held_out_rows
from tfflows.tables.report import Report, write_report
from tfflows.tables.sources import files_of
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.keras_archive import read_archive

_MODEL, _SCHEMA, _FACTS, _REPORT = "model.keras", "schema.yaml", "run.json", "report.html"
# What an interrupted run leaves, by the command line or by a recipe of the zoo.
_OWN = {_SCHEMA, _FACTS, CURVE, ".lock", "recipe.yaml", "train.parquet"}


class TableRun:
    """The folder of a run on a table.

    Args:
        path: of the folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def flow(self) -> TableFlow:
        """The fitted flow, not compiled."""
        return read_table_flow(self.path)

    def facts(self) -> dict[str, Any]:
        """What run.json says."""
        return json.loads((self.path / _FACTS).read_text("utf-8"))

    def epochs(self) -> list[Epoch]:
        """The epochs of the training."""
        return read_epochs(self.path)

    def check_new(self) -> None:
        """FileExistsError where the folder holds something that a new run would mix with."""
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"Expected a folder for the run. Received: the file {self.path}")
        held = {p.name for p in self.path.iterdir()} - _OWN if self.path.exists() else set()
        if _MODEL in held:
            raise FileExistsError(f"{self.path} holds a run already: give another folder")
        if held:
            raise FileExistsError(
                f"Expected a new or empty folder for the run. Received: {self.path}, which holds "
                f"{', '.join(sorted(held)[:3])}"
            )


def read_table_flow(path: str | Path) -> TableFlow:
    """The flow of a .keras file or of the folder of a run on a table.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file holds something else.
    """
    path = Path(path)
    file = path / _MODEL if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(f"There is no table's model at {file}")
    return read_archive(file, TableFlow)


def fit_table(
    data: str | Path,
    path: str | Path,
    schema: Schema,
    *,
    seed: int = 0,
    validation: float = 0.1,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **settings: Any,
) -> Epoch:
    """Fit a TableFlow to files, in a folder.

    Args:
        data: a .csv or .parquet file, or a folder of them.
        path: a new or empty folder.
        schema: of the columns.
        seed, validation: which rows are held out; see `tfflows.tables.fit`.
        callbacks: of the training.
        settings: others of `tfflows.tables.fit`.

    Returns:
        The best epoch, whose weights model.keras has.

    Raises:
        FileExistsError: the folder holds something already.
        ValueError: a cell does not fit the schema.
    """
    run = TableRun(path)
    run.check_new()
    with locked(run.path):
        facts = {
            "data": str(Path(data).resolve()),
            "sha256": _sha256(data),
            "seed": seed,
            "validation": validation,
            "settings": settings,
            "versions": versions(),
        }
        curve = CurveFile(run.path / CURVE)
        flow = fit(
            data,
            schema,
            seed=seed,
            validation=validation,
            verbose=0,
            callbacks=[curve, *callbacks],
            **settings,
        )
        schema.to_yaml(run.path / _SCHEMA)
        with replaced_on_success(run.path / _FACTS) as temporary:
            temporary.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        best = best_epoch(run.epochs())
        flow.save(run.path / _MODEL)
    return best


class CurveFile(keras.callbacks.Callback):
    """Writes a line per epoch, as `read_epochs` reads them.

    Args:
        path: of the file, which is begun anew.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def on_train_begin(self, logs=None):
        self.path.write_text("", "utf-8")

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        line = {
            "epoch": epoch + 1,
            "nll": float(logs["loss"]),
            "val_nll": float(logs.get("val_loss", math.nan)),
            "seconds": round(time.perf_counter() - self._start, 3),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def report_table(
    path: str | Path, data: str | Path | None = None, out: str | Path | None = None
) -> Report:
    """Write the report of a run: its numbers on rows that training did not see.

    Args:
        path: of the run.
        data: new rows to evaluate the flow on; by default, and where they are the rows that the
            run was fitted to, those that it held out.
        out: an .html file; by default report.html in the folder.

    Raises:
        FileNotFoundError: the data that the run was fitted to are not where they were.
        ValueError: they have changed.
    """
    run = TableRun(path)
    flow, facts = run.flow(), run.facts()
    own = Path(facts["data"])
    if data is not None and _sha256(data) == facts["sha256"]:
        own, data = Path(data), None
    if not own.exists():
        raise FileNotFoundError(
            f"Expected the table that the run was fitted to at {own}. Received: nothing there; "
            f"give its place"
        )
    if _sha256(own) != facts["sha256"]:
        raise ValueError(
            f"{own} has changed since the run was fitted to it, so that its held-out rows are not "
            "known any more"
        )
    cells = flow.schema.parse(own)
    rows = len(next(iter(cells.values())).values)
    is_held_out = held_out_rows(rows, facts["validation"], facts["seed"])
    test = _rows(cells, is_held_out) if data is None else flow.schema.parse(data)
    return write_report(
        flow,
        _rows(cells, ~is_held_out),
        test,
        run.path / _REPORT if out is None else out,
        title=own.name,
        test_rows=np.flatnonzero(is_held_out) if data is None else None,
        epochs=[(e.epoch, e.nll or math.nan, e.val_nll) for e in run.epochs()],
        facts={
            "training": f"{sum(e.seconds for e in run.epochs()) / 60:.1f} minutes",
            "test rows": "held out of the table" if data is None else str(data),
            "seed": facts["seed"],
            **facts["versions"],
        },
        seed=facts["seed"],
    )


def _rows(cells, rows):
    return {name: Cells(c.values[rows], c.missing[rows]) for name, c in cells.items()}


def _sha256(data):
    """Of all files of the data, in order."""
    digest = hashlib.sha256()
    for path in files_of(data):
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}")
        with path.open("rb") as file:
            while part := file.read(2**20):
                digest.update(part)
    return digest.hexdigest()
