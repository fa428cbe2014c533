"""Data by name or path: `load(name, split)` -> tf.data.Dataset and a description."""

from tfflows.datasets.dataset_info import DatasetInfo
from tfflows.datasets.loading import load, load_arrays, load_rows, load_rows_by_options
from tfflows.datasets.readers.table import stream_table
from tfflows.datasets.registry import EMBEDDED, NAMES
from tfflows.datasets.rows import Rows
from tfflows.datasets.sets.toys import sample_toy
from tfflows.utils.data_schema import DataSchema

__all__ = [
    "EMBEDDED",
    "NAMES",
    "DataSchema",
    "DatasetInfo",
    "Rows",
    "load",
    "load_arrays",
    "load_rows",
    "load_rows_by_options",
    "sample_toy",
    "stream_table",
]
