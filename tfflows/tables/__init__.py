"""Tables: typed rows, their exact densities, and the holes in them."""

from typing import TYPE_CHECKING

from tfflows.tables.columns import (
    Boolean,
    Category,
    Cells,
    Column,
    Datetime,
    Integer,
    Interval,
    Ordinal,
    Positive,
    Real,
)
from tfflows.tables.fitting import fit
from tfflows.tables.plain_flows import plain_flow, support_layers
from tfflows.tables.report import write_report
from tfflows.tables.schema import Schema
from tfflows.tables.served_table import ServedTable
from tfflows.tables.table_flow import TableFlow

if TYPE_CHECKING:
    from tfflows.tables.estimator import TableDensity

__all__ = [
    "Boolean",
    "Category",
    "Cells",
    "Column",
    "Datetime",
    "Integer",
    "Interval",
    "Ordinal",
    "Positive",
    "Real",
    "Schema",
    "ServedTable",
    "TableDensity",
    "TableFlow",
    "fit",
    "plain_flow",
    "support_layers",
    "write_report",
]


def __getattr__(name):
    if name == "TableDensity":  # the only part that needs scikit-learn
        from tfflows.tables.estimator import TableDensity

        return TableDensity
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
