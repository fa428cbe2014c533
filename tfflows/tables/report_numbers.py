"""The numbers of a table's report: a flow beside simple models, on rows that none has seen."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfflows.tables.associations import associations, is_unordered
from tfflows.tables.baselines import ChowLiuTree, GaussianCopula, IndependentColumns
from tfflows.tables.columns import Cells, Coded, Column
from tfflows.tables.schema import Schema
from tfflows.tables.table_flow import TableFlow
from tfflows.tables.two_sample import two_sample_auc
from tfflows.tables.unlikely import UnlikelyRow, unlikely_rows

FLOW = "TableFlow"
MAX_TEST_ROWS = 10_000
_MAX_TRAINED_ROWS = 200_000
_MIN_AUC_ROWS = 25
_MAX_ASSOCIATED = 40
MAX_PAIRED_COLUMNS = 200  # of baselines that look at all pairs of columns
_BASELINES = {
    "Chow-Liu tree": ChowLiuTree,
    "Gaussian copula": GaussianCopula,
    "independent columns": IndependentColumns,
}


class ModelScore(NamedTuple):
    """What a model gives to rows that no model has seen.

    Attributes:
        name: of the model.
        nll: mean of -log p(row), in nats.
        standard_error: of the mean.
        behind: how much larger the nll is than the flow's, in nats, and its standard error.
        auc: of a classifier between the rows and the model's samples; None for too few rows.
    """

    name: str
    nll: float
    standard_error: float
    behind: tuple[float, float]
    auc: float | None


class Report(NamedTuple):
    """The numbers of a report.

    Attributes:
        title: what the table is called.
        schema: of the table.
        trained, tested: how many rows the flow was trained and evaluated on.
        facts: others, by what they are.
        epochs: (epoch, training nll, held-out nll).
        scores: of the flow, and then of the baselines, the best first.
        rows, samples: cells of the rows that it was evaluated on, and of as many samples.
        distances: of each column, between its rows and samples; see `marginal_distance`.
        associated: names of the columns whose associations are taken.
        associations: of the rows and of the samples, `[D, D]` each.
        unlikely: the least likely rows.
    """

    title: str
    schema: Schema
    trained: int
    tested: int
    facts: Mapping[str, Any]
    epochs: Sequence[tuple[int, float, float]]
    scores: Sequence[ModelScore]
    rows: Mapping[str, Cells]
    samples: Mapping[str, Cells]
    distances: Mapping[str, float]
    associated: Sequence[str]
    associations: tuple[np.ndarray, np.ndarray]
    unlikely: Sequence[UnlikelyRow]

    def __str__(self) -> str:
        flow, *others = self.scores
        best = others[0]
        text = (
            f"Held-out nll {flow.nll:.4f} nats per row on {self.tested:,} rows; "
            f"{best.name} {best.nll:.4f}"
        )
        return text if flow.auc is None else f"{text}; classifier two-sample AUC {flow.auc:.3f}"


def report_numbers(
    flow: TableFlow,
    trained: Mapping[str, Cells],
    tested: Mapping[str, Cells],
    test_rows: np.ndarray | None = None,
    seed: int = 0,
) -> Report:
    """The numbers of a flow, without a title, facts and epochs; see `write_report`."""
    schema = flow.schema
    random = np.random.default_rng(seed)
    sizes = [len(next(iter(cells.values())).values) for cells in (trained, tested)]
    if not min(sizes):
        raise ValueError("Expected rows to report on. Received: none")
    chosen = np.sort(random.permutation(sizes[1])[:MAX_TEST_ROWS])
    numbers = chosen if test_rows is None else np.asarray(test_rows)[chosen]
    rows = _rows(tested, chosen)
    few = _rows(trained, np.sort(random.permutation(sizes[0])[:_MAX_TRAINED_ROWS]))
    encoded = flow.fitted_encoder.encode(rows)
    log_prob = flow.log_prob_of_encoded(encoded, np.zeros(encoded.codes.shape, "float32"))
    samples = flow.sample_cells(len(chosen), {}, seed=seed)
    scores = [_score(FLOW, schema, log_prob, log_prob, rows, samples, seed)]
    for name, kind in _baselines(schema).items():
        model = kind.fit(schema, few)
        drawn = model.sample(len(chosen), seed)
        scores.append(_score(name, schema, model.log_prob(rows), log_prob, rows, drawn, seed))
    distances = {c.name: marginal_distance(c, rows[c.name], samples[c.name]) for c in schema}
    associated = _spread(schema.columns, _MAX_ASSOCIATED)
    unlikely = unlikely_rows(flow, rows, log_prob)
    return Report(
        title="",
        schema=schema,
        trained=sizes[0],
        tested=len(chosen),
        facts={},
        epochs=(),
        scores=[scores[0], *sorted(scores[1:], key=lambda score: score.nll)],
        rows=rows,
        samples=samples,
        distances=distances,
        associated=[column.name for column in associated],
        associations=(associations(associated, rows), associations(associated, samples)),
        unlikely=[row._replace(row=int(numbers[row.row])) for row in unlikely],
    )


def _baselines(schema):
    if len(schema) <= MAX_PAIRED_COLUMNS:
        return _BASELINES
    return {name: kind for name, kind in _BASELINES.items() if kind is IndependentColumns}


def _rows(cells, rows):
    return {name: Cells(c.values[rows], c.missing[rows]) for name, c in cells.items()}


def _spread(items, count):
    places = np.unique(np.linspace(0, len(items) - 1, count).astype(int))
    return [items[place] for place in places]


def _score(name, schema, log_prob, log_prob_of_flow, rows, samples, seed) -> ModelScore:
    log_prob = np.asarray(log_prob, "float64")
    root = math.sqrt(len(log_prob))
    with np.errstate(invalid="ignore"):  # -inf, where a baseline gives a row no mass
        behind = np.asarray(log_prob_of_flow, "float64") - log_prob
        errors = float(log_prob.std() / root), float(behind.std() / root)
    auc = None
    if len(log_prob) >= _MIN_AUC_ROWS:
        auc = two_sample_auc(schema, rows, samples, seed)
    return ModelScore(
        name, -float(log_prob.mean()), errors[0], (float(behind.mean()), errors[1]), auc
    )


def marginal_distance(column: Column, rows: Cells, samples: Cells) -> float:
    """How far a column of samples is from that of rows, from 0 to 1.

    The total variation of categories and levels, "missing" among them; the largest difference of
    the distribution functions of numbers and dates (Kolmogorov and Smirnov), where "missing" comes
    before all of them.
    """
    if isinstance(column, Coded) and is_unordered(column):
        size = column.num_codes + 1
        shares = [
            np.bincount(np.where(c.missing, size - 1, c.values), minlength=size) / len(c.values)
            for c in (rows, samples)
        ]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    values = [
        np.sort(np.where(c.missing, -np.inf, c.values.astype("float64"))) for c in (rows, samples)
    ]
    both = np.concatenate(values)
    places = [np.searchsorted(part, both, "right") / len(part) for part in values]
    return float(np.abs(places[0] - places[1]).max())
