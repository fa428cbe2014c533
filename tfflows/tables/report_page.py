"""The page of a table's report: HTML without scripts, with its style and pictures inside."""

import math
from collections.abc import Iterable

import numpy as np

from tfflows.tables.columns import Column
from tfflows.tables.report_numbers import MAX_PAIRED_COLUMNS, ModelScore, Report
from tfflows.tables.report_pictures import (
    ROWS,
    SAMPLES,
    association_map,
    marginal,
    training_curve,
)
from tfflows.utils.damage import cut
from tfflows.utils.html_page import escape, html_page, picture

_MAX_PICTURES = 60
_MAX_SCHEMA_ROWS = 200
_MAX_UNLIKELY_COLUMNS = 24
_HIDDEN = ("kind", "name", "dtype", "missing")


def page(report: Report) -> str:
    """The whole page."""
    sections = [
        _head(report),
        _scores(report),
        _curve(report),
        _marginals(report),
        _associations(report),
        _unlikely(report),
        _schema(report),
        _foot(report),
    ]
    return html_page(f"{report.title}: report", sections)


def _head(report):
    flow, best = report.scores[0], report.scores[1]
    gap = best.nll - flow.nll
    beside = f"{abs(gap):.2f} {'below' if gap > 0 else 'above'} the {escape(best.name)}"
    tells = "" if flow.auc is None else (
        f" A classifier tells samples from these rows with an AUC of {flow.auc:.3f}, where 0.5 is "
        "a coin's."
    )  # fmt: skip
    facts = [
        ("rows trained on", f"{report.trained:,}"),
        ("rows evaluated", f"{report.tested:,}"),
        ("columns", f"{len(report.schema):,}"),
        ("held-out nll", f"{flow.nll:.3f} <small>nats per row</small>"),
    ]
    if flow.auc is not None:
        facts.append(("two-sample AUC", f"{flow.auc:.3f}"))
    if "training" in report.facts:
        number, unit = str(report.facts["training"]).split(" ", 1)
        facts.append(("training", f"{escape(number)} <small>{escape(unit)}</small>"))
    cards = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return (
        f"<h1>{escape(report.title)}</h1>\n"
        f'<p class="lead">On {report.tested:,} rows that it was not trained on, the flow has '
        f"{flow.nll:.2f} nats per row, {beside}, the best of three simple models.{tells}</p>\n"
        f'<dl class="facts">{cards}</dl>\n'
    )


def _scores(report):
    behind = [s.behind[0] for s in report.scores if math.isfinite(s.behind[0])]
    largest = max(map(abs, behind)) or 1
    rows = "".join(_score_row(score, largest) for score in report.scores)
    return (
        "<h2>Held-out likelihood</h2>\n"
        "<p>The negative log-likelihood of rows that no model was trained on, with its standard "
        "error: lower is better. The gap to the flow is paired, row by row. The AUC is of "
        "gradient-boosted trees that tell a model's samples from the rows: 0.5 if they cannot.</p>"
        '\n<div class="scroll"><table>\n<tr><th>model</th><th class="number">nats per row</th>'
        '<th class="number">gap to the flow</th><th class="bar"></th>'
        '<th class="number">AUC</th></tr>\n'
        f"{rows}</table></div>\n"
        f'<p class="soft">{_baseline_note(report)}</p>\n'
    )


def _baseline_note(report):
    if len(report.schema) > MAX_PAIRED_COLUMNS:
        return (
            "A Gaussian copula and a Chow-Liu tree look at all pairs of columns, and are fitted up "
            f"to {MAX_PAIRED_COLUMNS} columns."
        )
    return (
        "The likelihood of the Gaussian copula is an estimate, which is a lower bound in "
        "expectation where more than one column has masses."
    )


def _score_row(score: ModelScore, largest: float) -> str:
    is_flow = score.behind == (0.0, 0.0)
    gap, error = score.behind
    width = 0 if not math.isfinite(gap) else 100 * max(0.0, gap) / largest
    gap_text = "" if is_flow else _with_error(gap, error, "+")
    auc = "" if score.auc is None else f"{score.auc:.3f}"
    return (
        f"<tr{' class=own' if is_flow else ''}><td>{escape(score.name)}</td>"
        f'<td class="number">{_with_error(score.nll, score.standard_error)}</td>'
        f'<td class="number">{gap_text}</td>'
        f'<td class="bar"><i style="width:{width:.1f}%"></i></td>'
        f'<td class="number">{auc}</td></tr>\n'
    )


def _with_error(value, error, sign=""):
    if not math.isfinite(value):
        return "&infin;"
    return f"{value:{sign}.3f} <small>&plusmn; {error:.3f}</small>".replace("-", "&minus;")


def _curve(report):
    if not report.epochs:
        return ""
    return (
        "<h2>Training</h2>\n"
        "<p>The weights of the best epoch are kept. Both curves are estimates over random orders "
        "of the columns, if the flow was trained so; the training's is with dropout.</p>\n"
        f'<figure class="card curve">{picture(training_curve(report.epochs), "nll over epochs")}'
        "</figure>\n"
    )


def _marginals(report):
    order = sorted(report.schema, key=lambda column: -report.distances[column.name])
    shown = list(report.schema)
    note = ""
    if len(shown) > _MAX_PICTURES:
        shown = order[:_MAX_PICTURES]
        note = f" The {_MAX_PICTURES} columns with the largest distances are drawn."
    cards = []
    for column in shown:
        drawing = marginal(column, report.rows[column.name], report.samples[column.name])
        notes = "; ".join(drawing.notes)
        caption = f"<figcaption>{escape(notes)}</figcaption>" if notes else ""
        cards.append(
            f'<figure class="card"><header><h3>{escape(column.name)}</h3>'
            f"<span>distance {report.distances[column.name]:.3f}</span></header>"
            f"{picture(drawing.svg, f'{column.name} in rows and samples')}{caption}</figure>\n"
        )
    noise = 1.36 * math.sqrt(2 / report.tested)
    return (
        "<h2>Each column</h2>\n"
        "<p>Rows and as many samples. The distance is the total variation of categories, and the "
        "largest difference of the distribution functions of numbers and dates, from 0 to 1. With "
        f"so many rows, two draws of one distribution of numbers differ by up to {noise:.3f}, 19 "
        f"times of 20. The drawings leave out the outer half percent at each end.{note}</p>\n"
        f'<p class="key soft"><span><i style="background:{ROWS}"></i>rows</span>'
        f'<span><i style="background:{SAMPLES}"></i>samples</span></p>\n'
        f'<div class="grid">\n{"".join(cards)}</div>\n'
    )


def _associations(report):
    names, (rows, samples) = report.associated, report.associations
    if len(names) < 2:
        return ""
    lower = np.tril_indices(len(names), -1)
    gaps = np.abs(rows - samples)[lower]
    worst = np.argsort(-gaps)[:5]
    pairs = "".join(
        f"<tr><td>{escape(names[lower[1][i]])} and {escape(names[lower[0][i]])}</td>"
        f'<td class="number">{_signed(rows[lower][i])}</td>'
        f'<td class="number">{_signed(samples[lower][i])}</td></tr>\n'
        for i in worst
    )
    figures = "".join(
        f'<figure class="card">{picture(association_map(names, values, title), title)}</figure>'
        for title, values in (("rows", rows), ("samples", samples))
    )
    few = (
        f" {len(names)} evenly spread columns are shown." if len(names) < len(report.schema) else ""
    )
    return (
        "<h2>Pairs of columns</h2>\n"
        "<p>Pearson's correlation of numbers, Cramer's V of categories, and the correlation ratio "
        f"of a category and a number. Rows and samples differ by {gaps.mean():.3f} on average. "
        "Red is 1, white 0, blue -1."
        f"{few}</p>\n"
        f'<div class="two">{figures}</div>\n'
        '<p class="soft">The largest differences:</p>\n'
        '<div class="scroll"><table>\n<tr><th>pair</th><th class="number">rows</th>'
        f'<th class="number">samples</th></tr>\n{pairs}</table></div>\n'
    )


def _signed(value):
    return f"{value:.3f}".replace("-", "&minus;")


def _unlikely(report):
    if not report.unlikely:
        return ""
    names = report.schema.names
    shown = np.arange(len(names))
    note = ""
    if len(names) > _MAX_UNLIKELY_COLUMNS:
        surprise = np.max([row.surprises for row in report.unlikely], axis=0)
        shown = np.sort(np.argsort(-surprise)[:_MAX_UNLIKELY_COLUMNS])
        note = f" The {len(shown)} columns with the most surprising cells are shown."
    heads = "".join(f"<th>{escape(names[i])}</th>" for i in shown)
    lines = "".join(
        f'<tr><td class="number">{row.row:,}</td><td class="number">{_signed(row.log_prob)}</td>'
        f"{''.join(_cells_of(row, shown))}</tr>\n"
        for row in report.unlikely
    )
    return (
        "<h2>The least likely rows</h2>\n"
        "<p>Rows are counted from 0. Below each cell stands its own log-conditional in nats: log "
        "p(cell | the other cells of the row). The darker, the further it is below what is usual "
        f"in its column; the oddest cell of each row is bold.{note}</p>\n"
        '<div class="scroll unlikely"><table>\n<tr><th class="number">row</th>'
        f'<th class="number">log p</th>{heads}</tr>\n{lines}</table></div>\n'
    )


def _cells_of(row, shown) -> Iterable[str]:
    oddest = int(np.argmax(row.surprises))
    for i in shown:
        depth = float(np.clip((row.surprises[i] - 1) / 9, 0, 1))
        classes = ["odd"] * (depth > 0) + ["oddest"] * bool(i == oddest)
        color = f' style="background:rgba(234,88,12,{0.08 + 0.47 * depth:.2f})"' if depth else ""
        text = row.cells[i]
        yield (
            f'<td class="{" ".join(classes)}"{color} title="{escape(cut(text, 200))}">'
            f"{escape(cut(text, 24))}<small>{round(row.conditionals[i], 1) + 0.0:.1f}</small></td>"
        ).replace("<small>-", "<small>&minus;")


def _schema(report):
    columns = report.schema.columns
    rows = "".join(
        f"<tr><td>{escape(column.name)}</td><td>{column.kind}</td>"
        f'<td class="values">{escape(_support(column))}</td>'
        f'<td class="number">{_missing(column, report)}</td></tr>\n'
        for column in columns[:_MAX_SCHEMA_ROWS]
    )
    rest = len(columns) - _MAX_SCHEMA_ROWS
    more = f'<p class="soft">And {rest:,} further columns.</p>\n' if rest > 0 else ""
    return (
        "<h2>Schema</h2>\n<p>What each column may hold. Numbers have densities in their own units; "
        "all else has masses.</p>\n"
        '<div class="scroll"><table>\n<tr><th>column</th><th>kind</th><th>support</th>'
        f'<th class="number">missing</th></tr>\n{rows}</table></div>\n{more}'
    )


def _support(column: Column) -> str:
    config = {k: v for k, v in column.get_config().items() if k not in _HIDDEN}
    values = config.pop("values", None) or getattr(column, "values", None)
    texts = []
    if values is not None:
        names = ", ".join(map(str, values[:12]))
        further = len(values) - 12
        texts.append(cut(names, 160) + (f" and {further:,} others" if further > 0 else ""))
    return "; ".join(texts + [f"{key} {cut(str(value), 80)}" for key, value in config.items()])


def _missing(column, report):
    return f"{report.rows[column.name].missing.mean():.1%}" if column.missing else "never"


def _foot(report):
    parts = "".join(
        f"<span>{escape(key)} {escape(value)}</span> "
        for key, value in report.facts.items()
        if key != "training"
    )
    return f"<footer>{parts}</footer>\n"
