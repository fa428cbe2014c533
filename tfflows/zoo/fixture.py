"""Some rows of a model's test set with their log-densities, which travel with the model."""

import dataclasses
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from keras import ops

from tfflows.datasets import Rows
from tfflows.flow import Flow
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.tables.table_flow import TableFlow
from tfflows.utils.errors import first_paragraph
from tfflows.utils.sizes import check_members
from tfflows.zoo.model_card import Card, in_units
from tfflows.zoo.tables import log_prob_of_csv

FIXTURE = "fixture.npz"
FIXTURE_ROWS = 200


@dataclasses.dataclass(frozen=True)
class FixtureCheck:
    """The metric on the rows of a fixture, as stored and as found.

    Attributes:
        stored: mean of the log-densities that came with the model, in the units of its metric.
        found: the same, computed anew.
        row_difference: largest difference of a row's log-density in nats.
    """

    stored: float
    found: float
    row_difference: float


def write_fixture(flow: Flow, rows: Rows, num_draws: int, folder: Path) -> None:
    """Write evenly spread rows of a test set, and their log-densities under `flow`.

    Args:
        flow: the model.
        rows: rows of the test set.
        num_draws: draws of dequantization noise per row.
        folder: folder of the model.
    """
    rows = rows.spread(FIXTURE_ROWS)
    arrays = {"x": np.asarray(rows.x)}
    if rows.condition is not None:
        arrays["condition"] = np.asarray(rows.condition)
    save_fixture({**arrays, "log_prob": _log_prob(flow, arrays, num_draws)}, folder)


def save_fixture(arrays: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write rows and their log-densities."""
    np.savez_compressed(folder / FIXTURE, **arrays)  # pyright: ignore[reportArgumentType]


def check_fixture(flow: Flow | TableFlow, card: Card, folder: Path) -> FixtureCheck:
    """Compute the log-densities of a model's fixture anew.

    Raises:
        ValueError: their mean is farther from the stored one than the standard error of the card's
            metric, or a row's is off by more than rounding; or the fixture cannot be read.
    """
    arrays = _read(folder / FIXTURE, card.is_table)
    stored = arrays.pop("log_prob")
    found = _log_prob(flow, arrays, card.metric.num_draws)
    units, difference = card.metric.units, float(np.abs(found - stored).max())
    dims = math.prod(card.data.event_shape)
    before, now = (in_units(float(each.mean()), units, dims) for each in (stored, found))
    check = FixtureCheck(before, now, difference)
    is_near = abs(check.found - check.stored) <= card.metric.standard_error
    # Another machine sums float32 in another order; the noise of a row depends only on the row. An
    # adaptive solver takes other steps there, and has another error of the same size.
    is_solved = not isinstance(flow, TableFlow) and any(
        field.can_fail for field in continuous_flows(flow.flow_layers)
    )
    error = card.metric.solver_error
    largest = 5 * error.largest if error else 0.2 * is_solved
    if not is_near or not np.allclose(found, stored, rtol=1e-4, atol=max(1e-2, largest)):
        raise ValueError(
            f"{card.name} has other densities than its card says. Expected: {check.stored:.4f} "
            f"{card.metric.units} on its {len(stored)} fixture rows, within "
            f"{card.metric.standard_error:.1e}. Received: {check.found:.4f}, single rows off by up "
            f"to {check.row_difference:.1e} nats"
        )
    return check


def _read(path, is_table):
    names = ("rows",) if is_table else ("x", "condition")
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path, {f"{name}.npy": None for name in (*names, "log_prob")})
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, MemoryError) as error:
        raise ValueError(f"{path} is not a readable fixture: {first_paragraph(error)}") from error
    if not {names[0], "log_prob"} <= set(arrays):
        raise ValueError(f"{path}: Expected {names[0]} and log_prob. Received: {sorted(arrays)}")
    return arrays


def _log_prob(flow, arrays, num_draws):
    if isinstance(flow, TableFlow):
        return log_prob_of_csv(flow, arrays["rows"])
    values = flow.log_prob(arrays["x"], arrays.get("condition"), num_draws)
    return ops.convert_to_numpy(values).astype("float64")
