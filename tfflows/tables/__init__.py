"""Tables: typed rows, their exact densities, and the holes in them."""

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
from tfflows.tables.table_flow import TableFlow

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
    "TableFlow",
    "fit",
    "plain_flow",
    "support_layers",
    "write_report",
]
