"""Numbers of the zoo's flows over arrays and images, on whole splits."""

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
from tfflows.zoo.model_card import Card, Metric, SolverError, Units, in_units

ROWS_AT_ONCE = 100  # a transformer on pixels takes 20 MB for each
SOLVED_ROWS = 500  # whose solver's error is measured


def evaluate_flow(
    flow: Flow,
    folder: Path,
    card: Card,
    split: str = "test",
    data_dir: str | None = None,
    num_rows: int | None = None,
) -> Metric:
    """The metric of a model on a split of its recipe's data.

    Raises:
        ValueError: the split has another size than on the card.
    """
    rows, info = load_split(recipe_of(folder), split, data_dir)
    if split == "test" and info.size != card.data.test:
        raise ValueError(
            f"Expected {card.name} to have {card.data.test:,} test rows. Received: {info.size:,}"
        )
    result = evaluate_rows(flow, rows.spread(num_rows), card.metric.num_draws)
    return metric_of(result, card.metric.units, flow.dims)


def recipe_of(folder: Path) -> Recipe:
    """The recipe that trains a model again."""
    return read_recipe(folder / "recipe.yaml")


def evaluate_rows(flow: Flow, rows: Rows, num_draws: int = 1) -> Evaluation:
    """The held-out log-likelihood of rows."""
    return evaluate(flow, Batches(rows, ROWS_AT_ONCE).once(), round_trip=False, num_draws=num_draws)


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
