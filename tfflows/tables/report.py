"""The report of a table flow: one static HTML page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.tables.columns import Cells
from tfflows.tables.report_numbers import Report, report_numbers
from tfflows.tables.report_page import page
from tfflows.tables.table_flow import TableFlow
from tfflows.utils.atomic import replaced_on_success


def write_report(
    flow: TableFlow,
    trained: Any,
    tested: Any,
    out: str | Path,
    *,
    title: str = "Table",
    epochs: Sequence[tuple[int, float, float]] = (),
    facts: Mapping[str, Any] | None = None,
    test_rows: np.ndarray | None = None,
    seed: int = 0,
) -> Report:
    """Write a page with what a flow has learnt of a table, and return its numbers.

    Args:
        flow: a fitted flow.
        trained: the table that it was fitted to, or its cells, for the baselines.
        tested: rows that training did not see, or their cells. At most 10,000 of them are taken.
        out: an .html file.
        title: what the table is called.
        epochs: of the training: (epoch, training nll, held-out nll).
        facts: others to show, by what they are.
        test_rows: the numbers of the rows in `tested`, as readers know them; from 0 by default.
        seed: of the samples and of the choice of rows.

    Raises:
        ValueError: a cell does not fit the flow's schema, or there are no rows.

    Example:
        tfflows.tables.write_report(flow, train, test, "report.html")
    """
    if Path(out).suffix != ".html":
        raise ValueError(f"A report is written to an .html file. Received: {out}")
    report = report_numbers(flow, _cells(flow, trained), _cells(flow, tested), test_rows, seed)
    report = report._replace(title=title, epochs=epochs, facts=dict(facts or {}))
    text = page(report)
    with replaced_on_success(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return report


def _cells(flow, data) -> dict[str, Cells]:
    if isinstance(data, Mapping) and all(isinstance(c, Cells) for c in data.values()):
        return dict(data)
    return flow.schema.parse(data)
