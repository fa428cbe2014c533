"""What the zoo does with a model by its kind: of arrays, of a table, of an energy, a detector."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from tfflows.zoo.detector_recipe import DetectorRecipe
from tfflows.zoo.detectors import area_under_roc, evaluate_detector, num_parameters, scores_of
from tfflows.zoo.energies import check_energy, evaluate_energy
from tfflows.zoo.energy_recipe import EnergyRecipe
from tfflows.zoo.flows import ROWS_AT_ONCE, evaluate_flow
from tfflows.zoo.model_card import Card, KindName, Metric, in_units
from tfflows.zoo.table_recipe import RECIPE, TableRecipe
from tfflows.zoo.tables import evaluate_table, log_prob_of_csv


class Kind(NamedTuple):
    """A kind of models.

    Attributes:
        rows: names of the array of a fixture that holds rows, which has one of them.
        more: names of other arrays that it may have.
        value: name of the array that holds what the model says of each row.
        values_of: that, of a model, a fixture's arrays and a number of draws.
        summary: the metric of all values, of these, the fixture's arrays and the card.
        num_parameters: of a model.
        evaluate: the metric of a split, of a model, its folder and card, the split, the folder of
            the data and how many rows.
        check: ValueError unless such a metric is that of the card.
    """

    rows: tuple[str, ...]
    more: tuple[str, ...]
    value: str
    values_of: Callable[[Any, dict[str, np.ndarray], int], np.ndarray]
    summary: Callable[[np.ndarray, dict[str, np.ndarray], Card], float]
    num_parameters: Callable[[Any], int]
    evaluate: Callable[[Any, Path, Card, str, str | None, int | None], Metric]
    check: Callable[[Metric, Card], None]


def _log_prob(flow, arrays, num_draws):
    condition = arrays.get("condition")
    values = flow.log_prob(arrays["x"], condition, num_draws, batch_size=ROWS_AT_ONCE)
    return ops.convert_to_numpy(values).astype("float64")


def _mean(values, arrays, card):
    return in_units(float(values.mean()), card.metric.units, math.prod(card.data.event_shape))


def _check_rows(found, card):
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


def _evaluate_energy(flow, folder, card, split, data_dir, num_rows):
    if split != "test":
        raise ValueError(f"An energy has draws of the flow, no splits. Received: split={split!r}")
    target = EnergyRecipe.read(folder / RECIPE).make_target()
    return evaluate_energy(flow, target, num_rows or card.metric.num_examples)


def _evaluate_table(flow, folder, card, split, data_dir, num_rows):
    return evaluate_table(flow, TableRecipe.read(folder / RECIPE), split, data_dir, num_rows)


def _evaluate_detector(detector, folder, card, split, data_dir, num_rows):
    if split != "test":
        raise ValueError(f"A detector is evaluated on its test rows. Received: split={split!r}")
    recipe = DetectorRecipe.read(folder / RECIPE)
    return evaluate_detector(detector, recipe, data_dir, num_rows)


KINDS: dict[KindName, Kind] = {
    "flow": Kind(
        rows=("x",),
        more=("condition",),
        value="log_prob",
        values_of=_log_prob,
        summary=_mean,
        num_parameters=lambda flow: flow.count_params(),
        evaluate=evaluate_flow,
        check=_check_rows,
    ),
    "table": Kind(
        rows=("rows",),
        more=(),
        value="log_prob",
        values_of=lambda flow, arrays, _: log_prob_of_csv(flow, arrays["rows"]),
        summary=_mean,
        num_parameters=lambda flow: flow.count_params(),
        evaluate=_evaluate_table,
        check=_check_rows,
    ),
    "detector": Kind(
        rows=("x", "rows"),
        more=("label",),
        value="score",
        values_of=lambda detector, arrays, _: scores_of(detector, arrays),
        summary=lambda scores, arrays, _: area_under_roc(scores, arrays["label"]),
        num_parameters=num_parameters,
        evaluate=_evaluate_detector,
        check=_check_rows,
    ),
    "energy": Kind(
        rows=("x",),
        more=(),
        value="log_prob",
        values_of=_log_prob,
        summary=_mean,
        num_parameters=lambda flow: flow.count_params(),
        evaluate=_evaluate_energy,
        check=check_energy,
    ),
}
