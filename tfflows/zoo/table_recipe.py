"""recipe.yaml of a model of tables: its data, how it was fitted, and its columns."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic

from tfflows.datasets.splits import split_rows
from tfflows.runs.curve import Epoch
from tfflows.runs.settings import read_yaml, write_yaml
from tfflows.runs.table_run import TableRun, fit_table
from tfflows.tables.columns import Cells
from tfflows.tables.schema import Schema
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.schema import Section, readable_error

RECIPE, TRAINING_ROWS = "recipe.yaml", "train.parquet"

Count = Annotated[int, pydantic.Field(ge=0)]
Positive = Annotated[int, pydantic.Field(ge=1)]
Text = Annotated[str, pydantic.Field(min_length=1)]


class TableData(Section):
    """A table, and which of its rows are for training, for validation and for the test.

    `file` is a .csv or .parquet file, or a .npz file with an array `X` whose columns are named x0,
    x1, ...; `max_rows` of the array's rows are taken by `seed`, or all. `source` says where it is
    from. `validation` and `test` are the fractions that `seed` draws.
    """

    name: Text
    file: Text
    source: Text
    max_rows: Positive | None = None
    validation: float = 0.1
    test: float = 0.1
    seed: Count = 0


class TableFit(Section):
    """Arguments of `tfflows.tables.fit`; None leaves the choice to it."""

    seed: Count = 0
    validation: float = 0.1
    max_steps: Positive = 6000
    learning_rate: float = 1e-3
    batch_size: Positive | None = None
    width: Positive | None = None
    num_blocks: Count | None = None
    num_components: Positive | None = None
    dropout: float | None = None
    order: Literal["random"] | list[str] = "random"


class _Sections(Section):
    data: TableData
    fit: TableFit
    columns: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class TableRecipe:
    """What trains a model of tables.

    The file of a recipe is one of a schema too, for `tfflows table fit --schema`.

    Attributes:
        data: the table.
        fit: how it is fitted.
        schema: of its columns.
    """

    data: TableData
    fit: TableFit
    schema: Schema

    @classmethod
    def read(cls, path: str | Path) -> "TableRecipe":
        """The recipe of a YAML file.

        Raises:
            ValueError: the file is not YAML, or a key or value cannot be.
            OSError: the file cannot be read.
        """
        try:
            sections = _Sections.model_validate(read_yaml(path))
        except pydantic.ValidationError as error:
            raise readable_error(error, _Sections, str(path)) from error
        return cls(sections.data, sections.fit, Schema.from_yaml(path))

    def write(self, path: str | Path) -> None:
        """Write the recipe as YAML."""
        parts = {
            "data": self.data.model_dump(exclude_none=True),
            "fit": self.fit.model_dump(exclude_none=True),
        }
        with replaced_on_success(path) as temporary:
            write_yaml(parts, temporary)
            with temporary.open("a", encoding="utf-8") as file:
                file.write(self.schema.to_yaml())

    def cells(self, split: str, data_dir: str | Path | None = None) -> dict[str, Cells]:
        """The cells of a split's rows, in the order of the file.

        Args:
            split: "train", "validation", "test" or "all".
            data_dir: folder of the file; None takes the working directory.

        Raises:
            FileNotFoundError: the file is not there.
            ValueError: a cell does not fit the schema, or the split has no rows.
        """
        path = Path(data_dir or ".") / self.data.file
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no {path}: give the folder of {self.data.file} as the folder of the "
                f"data. Its source: {self.data.source}"
            )
        table = path if path.suffix != ".npz" else _array_columns(path, self.data)
        cells = self.schema.parse(table)
        fractions = {"validation": self.data.validation, "test": self.data.test}
        rows = split_rows(self.data.name, num_rows_of(cells), split, fractions, self.data.seed)
        return take_rows(cells, rows)


def num_rows_of(cells: dict[str, Cells]) -> int:
    """How many rows there are."""
    return len(next(iter(cells.values())).values)


def take_rows(cells: dict[str, Cells], rows: np.ndarray) -> dict[str, Cells]:
    """The cells of some rows."""
    return {name: Cells(cell.values[rows], cell.missing[rows]) for name, cell in cells.items()}


def _array_columns(path, data):
    with np.load(path, allow_pickle=False) as arrays:
        if "X" not in arrays or arrays["X"].ndim != 2:
            found = {name: arrays[name].shape for name in arrays.files}
            raise ValueError(
                f"{path}: Expected an array X of shape (rows, columns). Received: {found}"
            )
        x = arrays["X"]
    rows = np.sort(np.random.default_rng(data.seed).permutation(len(x))[: data.max_rows])
    return {f"x{i}": x[rows, i] for i in range(x.shape[1])}


def train_table(
    recipe: TableRecipe,
    folder: str | Path,
    data_dir: str | Path | None = None,
    callbacks: Any = (),
) -> Epoch:
    """Fit a flow to the training rows of a recipe; `save_to_zoo` makes a model of the run.

    Args:
        recipe: of the model.
        folder: a new or empty one, for the run, its recipe and its training rows.
        data_dir: folder of the data; None takes the working directory.
        callbacks: of the training.

    Returns:
        The best epoch, whose weights model.keras has.

    Raises:
        FileExistsError: the folder holds something already.
        FileNotFoundError, ValueError: as `TableRecipe.cells`.
    """
    folder = Path(folder)
    cells = recipe.cells("train", data_dir)
    TableRun(folder).check_new()
    folder.mkdir(parents=True, exist_ok=True)
    recipe.schema.unparse(cells).to_parquet(folder / TRAINING_ROWS, index=False)
    recipe.write(folder / RECIPE)
    settings = recipe.fit.model_dump(exclude_none=True)
    return fit_table(folder / TRAINING_ROWS, folder, recipe.schema, callbacks=callbacks, **settings)
