"""Whether a model of the zoo is what its card says."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from tfflows.datasets import Rows
from tfflows.datasets.batches import Batches
from tfflows.evaluation.evaluation import Evaluation, evaluate
from tfflows.evaluation.solver_error import solver_error
from tfflows.flow import Flow
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.runs.data import load_split
from tfflows.runs.recipe import Recipe, read_recipe
from tfflows.zoo.energy_recipe import EnergyRecipe
from tfflows.zoo.energy_saving import check_energy_metric, evaluate_energy
from tfflows.zoo.fixture import FixtureCheck, check_fixture
from tfflows.zoo.loading import load_folder
from tfflows.zoo.model_card import Card, Metric, SolverError, Units, in_units, read_card
from tfflows.zoo.sources import find
from tfflows.zoo.table_recipe import RECIPE, TableRecipe
from tfflows.zoo.tables import evaluate_table

SOLVED_ROWS = 500  # whose solver's error is measured


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found where a model agrees with its card.

    Attributes:
        card: card of the model.
        fixture: the metric on the rows that travel with the model.
        metric: the metric on the test set, or None if it was not asked for.
    """

    card: Card
    fixture: FixtureCheck
    metric: Metric | None


def verify(name: str | Path, full: bool = False, data_dir: str | None = None) -> Verification:
    """Check a model's hashes, load it, and compute its metric anew.

    Args:
        name: a name, a folder or a URL; see `tfflows.zoo.find`.
        full: whether to evaluate the test set too, beside the rows that travel with the model; as
            many rows of it as for the card's metric. Of an energy, as many draws of the flow.
        data_dir: folder of the data, for `full`; of a table's file, or else that is expected in
            the working directory.

    Raises:
        FileNotFoundError, OSError: as `tfflows.zoo.find`, or the data are missing.
        ValueError: the model is not what its card says.
    """
    folder = find(name)
    card = read_card(folder)
    flow = load_folder(folder)
    if flow.count_params() != card.parameters:
        raise ValueError(
            f"Expected {card.name} to have {card.parameters:,} parameters, as on its card. "
            f"Received: {flow.count_params():,}"
        )
    fixture = check_fixture(flow, card, folder)
    metric = None
    if full:
        metric = _test_metric(flow, card, folder, data_dir)
        check = check_energy_metric if card.is_energy else _check_metric
        check(metric, card)
    return Verification(card, fixture, metric)


def _test_metric(flow, card, folder, data_dir):
    count = card.metric.num_examples
    if card.is_table:
        recipe = TableRecipe.read(folder / RECIPE)
        return evaluate_table(flow, recipe, "test", data_dir, count)
    if card.is_energy:
        target = EnergyRecipe.read(folder / RECIPE).make_target()
        return evaluate_energy(flow, target, count)
    rows, info = load_split(recipe_of(folder), "test", data_dir)
    if info.size != card.data.test:
        raise ValueError(
            f"Expected {card.name} to have {card.data.test:,} test rows. Received: {info.size:,}"
        )
    result = evaluate_rows(flow, rows.spread(count), card.metric.num_draws)
    return metric_of(result, card.metric.units, flow.dims)


def _check_metric(found, card):
    expected = card.metric
    if found.num_examples != expected.num_examples:
        raise ValueError(
            f"{card.name} was evaluated on {expected.num_examples:,} rows. "
            f"Received: {found.num_examples:,} test rows"
        )
    if not abs(found.value - expected.value) <= expected.standard_error:  # a NaN is not near
        raise ValueError(
            f"Expected {card.name} to reach {expected.value:.4f} {expected.units} within "
            f"{expected.standard_error:.4f}. Received: {found.value:.4f}"
        )


def recipe_of(folder: Path) -> Recipe:
    """The recipe that trains a model again."""
    return read_recipe(folder / "recipe.yaml")


def evaluate_rows(flow: Flow, rows: Rows, num_draws: int = 1) -> Evaluation:
    """The held-out log-likelihood of rows."""
    return evaluate(flow, Batches(rows, 256).once(), round_trip=False, num_draws=num_draws)


def solver_error_of(flow: Flow, rows: Rows) -> SolverError | None:
    """The error of the solvers on some of the rows; None of a flow that solves no equation."""
    if not any(continuous_flows(flow.flow_layers)):
        return None
    rows = rows.spread(SOLVED_ROWS)
    errors = solver_error(flow, np.asarray(rows.x), rows.condition)
    largest = float(np.abs(errors).max())
    return SolverError(mean=float(errors.mean()), largest=largest, num_examples=len(errors))


def metric_of(result: Evaluation, units: Units, dims: int) -> Metric:
    """An evaluation as the metric of a card."""
    scale = 1.0 if units == "nats" else dims * math.log(2)
    return Metric(
        units=units,
        value=in_units(result.log_likelihood, units, dims),
        standard_error=result.standard_error / scale,
        num_examples=result.num_examples,
        num_draws=result.num_draws,
    )
