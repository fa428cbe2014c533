"""Some rows of a model's test set, and what it says of them, which travel with the model."""

import dataclasses
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.datasets import Rows
from tfflows.flow import Flow
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.utils.errors import first_paragraph
from tfflows.utils.sizes import check_members
from tfflows.zoo.kinds import KINDS
from tfflows.zoo.model_card import Card

FIXTURE = "fixture.npz"
FIXTURE_ROWS = 200


@dataclasses.dataclass(frozen=True)
class FixtureCheck:
    """The metric on the rows of a fixture, as stored and as found.

    Attributes:
        stored: of what came with the model, in the units of its metric.
        found: the same, computed anew.
        row_difference: largest difference of a row's log-density in nats, or of its score.
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
    log_prob = KINDS["flow"].values_of(flow, arrays, num_draws)
    save_fixture({**arrays, "log_prob": log_prob}, folder)


def save_fixture(arrays: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write rows and what a model says of them."""
    np.savez_compressed(folder / FIXTURE, **arrays)  # pyright: ignore[reportArgumentType]


def check_fixture(model: Any, card: Card, folder: Path) -> FixtureCheck:
    """Compute what a model says of its fixture's rows anew: their log-densities, or scores.

    Raises:
        ValueError: their metric is farther from the stored one than the standard error of the
            card's, or a row's is off by more than rounding; or the fixture cannot be read.
    """
    kind = KINDS[card.kind]
    arrays = _read(folder / FIXTURE, kind)
    stored = arrays.pop(kind.value)
    found = kind.values_of(model, arrays, card.metric.num_draws)
    difference = float(np.abs(found - stored).max())
    before, now = (kind.summary(each, arrays, card) for each in (stored, found))
    check = FixtureCheck(before, now, difference)
    is_near = abs(check.found - check.stored) <= card.metric.standard_error
    # Another machine sums float32 in another order; the noise of a row depends only on the row. An
    # adaptive solver takes other steps there, and has another error of the same size.
    is_solved = isinstance(model, Flow) and any(
        field.can_fail for field in continuous_flows(model.flow_layers)
    )
    error = card.metric.solver_error
    largest = 5 * error.largest if error else 0.2 * is_solved
    if not is_near or not np.allclose(found, stored, rtol=1e-4, atol=max(1e-2, largest)):
        raise ValueError(
            f"{card.name} has other values than its card says. Expected: {check.stored:.4f} "
            f"{card.metric.units} on its {len(stored)} fixture rows, within "
            f"{card.metric.standard_error:.1e}. Received: {check.found:.4f}, single rows off by up "
            f"to {check.row_difference:.1e}"
        )
    return check


def _read(path, kind):
    names = (*kind.rows, *kind.more, kind.value)
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path, {f"{name}.npy": None for name in names})
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, MemoryError) as error:
        raise ValueError(f"{path} is not a readable fixture: {first_paragraph(error)}") from error
    if kind.value not in arrays or not set(kind.rows) & set(arrays):
        raise ValueError(
            f"{path}: Expected {kind.rows[0]} and {kind.value}. Received: {sorted(arrays)}"
        )
    return arrays
