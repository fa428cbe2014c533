"""SavedModels of table flows, called from Python with the calls of a TableFlow."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.backend import rng
from tfflows.serving.description import DESCRIPTION_FILE
from tfflows.serving.loading import load_saved_model
from tfflows.tables.columns import Cells
from tfflows.tables.given import per_row, places_of
from tfflows.tables.schema import Schema
from tfflows.tables.served_cells import served_cells


class ServedTable:
    """A SavedModel that `TableFlow.export` wrote, with the calls of a TableFlow: tables in and out.

    Works on every Keras backend, but needs TensorFlow. It computes in one order of the columns,
    the schema's or the one that was trained.

    Example:
        served = tfflows.load_model("savedmodels/adult")
        served.sample(100, given={"sex": "Female"}, seed=0)

    Args:
        filepath: a version folder, or a model folder, of which the latest version is taken.
        unsafe: True loads a SavedModel whatever its operations do. It is a program then: only from
            a source that is trusted like one.

    Attributes:
        schema: of the table.
        description: what the export wrote beside the graph.

    Raises:
        FileNotFoundError: there is no SavedModel.
        ValueError: it is not one of a table flow, or is refused for the reasons of `ServedFlow`.
    """

    def __init__(self, filepath: str | Path, unsafe: bool = False):
        folder, self._model, description = load_saved_model(filepath, unsafe)
        if not is_table(description):
            raise ValueError(
                f"Expected {folder / DESCRIPTION_FILE} to describe a table flow. Received: "
                f"{(description or {}).get('model', 'no description')}"
            )
        self.description: dict[str, Any] = description or {}
        try:
            self.schema = Schema.from_config(self.description["table_schema"])
            self._arguments = {c.name: self.description["arguments"][c.name] for c in self.schema}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / DESCRIPTION_FILE}: {error}") from error

    @property
    def signatures(self) -> dict[str, Any]:
        """The TensorFlow function of each signature, by its name."""
        return dict(self._model.signatures)

    def log_prob(self, data: Any, batch_size: int = 4096) -> np.ndarray:
        """log p of each row of a table in nats, `[n]`, in the units of the data."""
        cells = self.schema.parse(data)
        parts = [
            self._call("log_prob", chunk)["log_prob"]
            for _, chunk in self._in_chunks(cells, _length(cells), batch_size)
        ]
        return np.concatenate(parts)

    def sample(
        self,
        num_samples: int,
        given: Mapping[str, Any] | None = None,
        seed: rng.Seed = None,
        to: str = "pandas",
        batch_size: int = 4096,
    ) -> Any:
        """Draw rows; the arguments are those of `TableFlow.sample`.

        With the same seed they are those of the live flow on TensorFlow, up to digits beyond
        float32.
        """
        if num_samples < 0:
            raise ValueError(f"Expected `num_samples` to be at least 0. Received: {num_samples}")
        values = {name: per_row(name, v, num_samples) for name, v in (given or {}).items()}
        places_of(self.schema, values)
        cells = self.schema.parse(values, columns=list(values)) if values else {}
        self._check_given(cells)
        seed = np.asarray(rng.make_seed(seed), "int32")
        parts = []
        for number, chunk in self._in_chunks(cells, num_samples, batch_size):
            count = min(batch_size, num_samples - number * batch_size)
            draw = {"num_samples": np.int32(count), "seed": _seed_of_chunk(seed, number)}
            if cells:
                draw |= self._all_missing(count) | chunk
            parts.append(self._call("sample_given" if cells else "sample", draw))
        return self._table(parts, to)

    def impute(
        self,
        data: Any,
        num_draws: int = 1,
        seed: rng.Seed = None,
        to: str = "pandas",
        batch_size: int = 4096,
    ) -> Any:
        """Draw the missing cells of each row given its others, as `TableFlow.impute` does."""
        cells = self.schema.parse(data, allow_missing=True)
        cells = {name: Cells(*(np.tile(p, num_draws) for p in c)) for name, c in cells.items()}
        seed = np.asarray(rng.make_seed(seed), "int32")
        parts = [
            self._call("impute", {**chunk, "seed": _seed_of_chunk(seed, number)})
            for number, chunk in self._in_chunks(cells, _length(cells), batch_size)
        ]
        return self._table(parts, to)

    def _check_given(self, cells):
        """A cell that is given as missing would be drawn."""
        for name, cell in cells.items():
            if cell.missing.any():
                raise ValueError(
                    f"A SavedModel draws cells that are missing, and is not conditioned on them. "
                    f"Received: a missing value of {name!r} in `given`"
                )

    def _in_chunks(
        self, cells: Mapping[str, Cells], rows: int, size: int
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        columns = {
            self._arguments[name]: served_cells(self.schema[name], cell)
            for name, cell in cells.items()
        }
        for number in range(max(1, -(-rows // size))):
            part = slice(number * size, (number + 1) * size)
            yield number, {name: values[part] for name, values in columns.items()}

    def _all_missing(self, rows):
        empty = Cells(np.zeros(rows, "int64"), np.ones(rows, bool))
        return {self._arguments[c.name]: served_cells(c, empty) for c in self.schema}

    def _call(self, signature, inputs):
        import tensorflow as tf

        function = self._model.signatures[signature]
        specs = function.structured_input_signature[1]
        tensors = {}
        for name, value in inputs.items():
            dtype = specs[name].dtype
            is_text = dtype == tf.string
            value = value if is_text else np.asarray(value).astype(dtype.as_numpy_dtype)
            tensors[name] = tf.constant(value, dtype)
        return {name: value.numpy() for name, value in function(**tensors).items()}

    def _table(self, parts, to):
        columns = {}
        for name, argument in self._arguments.items():
            values = np.concatenate([part[argument] for part in parts])
            if values.dtype == object:
                values = np.array([text.decode() or None for text in values], object)
            columns[name] = values
        return self.schema.unparse(self.schema.parse(columns), to=to)


def is_table(description: Mapping[str, Any] | None) -> bool:
    """Whether the description of a SavedModel is that of a table flow."""
    return "table_schema" in (description or {})


def _length(cells):
    return len(next(iter(cells.values())).values)


def _seed_of_chunk(seed, number):
    """As a TableFlow has them, whose chunks hold 4,096 rows."""
    return seed + np.array([0, number * 2**12], "int32")
