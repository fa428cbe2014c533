"""Numbers of the zoo's flows over tables: of rows that travel with them, and of whole splits."""

import tempfile
from pathlib import Path

import numpy as np

from tfflows.tables.columns import Cells
from tfflows.tables.table_flow import TableFlow
from tfflows.zoo.model_card import Metric
from tfflows.zoo.table_recipe import TableRecipe, num_rows_of, take_rows


def spread(cells: dict[str, Cells], num_rows: int | None) -> dict[str, Cells]:
    """Evenly spread rows; None, or more than there are, takes all."""
    size = num_rows_of(cells)
    if num_rows is None or num_rows >= size:
        return cells
    return take_rows(cells, np.linspace(0, size - 1, num_rows).astype("int64"))


def fixture_arrays(flow: TableFlow, cells: dict[str, Cells]) -> dict[str, np.ndarray]:
    """What a fixture holds of rows: the bytes of a CSV file, and log p as read from it."""
    text = flow.schema.unparse(cells).to_csv(index=False, lineterminator="\n")
    rows = np.frombuffer(text.encode("utf-8"), "uint8")
    return {"rows": rows, "log_prob": log_prob_of_csv(flow, rows)}


def log_prob_of_csv(flow: TableFlow, rows: np.ndarray) -> np.ndarray:
    """log p `[n]`, float64, of the rows of a fixture.

    Raises:
        ValueError: they are not the bytes of a CSV file whose rows fit the flow's schema.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(np.asarray(rows, "uint8").tobytes())
        return flow.log_prob(path).astype("float64")


def evaluate_table(
    flow: TableFlow,
    recipe: TableRecipe,
    split: str = "test",
    data_dir: str | None = None,
    num_rows: int | None = None,
) -> Metric:
    """The mean log-likelihood of a split's rows in nats per row, in one order of columns.

    Args:
        flow: the model.
        recipe: which names the data.
        split, data_dir: as in `TableRecipe.cells`.
        num_rows: of the split, evenly spread; None takes all.

    Raises:
        FileNotFoundError, ValueError: as `TableRecipe.cells`.
    """
    encoded = flow.fitted_encoder.encode(spread(recipe.cells(split, data_dir), num_rows))
    none_given = np.zeros(encoded.codes.shape, "float32")
    values = flow.log_prob_of_encoded(encoded, none_given).astype("float64")
    return Metric(
        units="nats",
        value=float(values.mean()),
        standard_error=float(values.std() / np.sqrt(len(values))),
        num_examples=len(values),
    )
