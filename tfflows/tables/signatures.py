"""The signatures that a table flow is served by, each with one input and output per column."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from keras import ops

from tfflows.tables.any_order import orders
from tfflows.tables.argument_names import argument_names
from tfflows.tables.columns import Coded
from tfflows.tables.graph_columns import (
    decode_codes,
    decode_numbers,
    encode_cells,
    served_dtype,
)
from tfflows.tables.marginal import Marginal
from tfflows.tables.spline import Knots

if TYPE_CHECKING:
    from tfflows.tables.table_flow import TableFlow


def make_table_signatures(flow: "TableFlow") -> dict[str, Callable]:
    """A concrete TensorFlow function for each use of a table flow, by name.

    | signature | in | out |
    |---|---|---|
    | log_prob | the columns [n] | log_prob float32 [n] |
    | sample | num_samples int32 [], seed int32 [2] | the columns [num_samples] |
    | sample_given | the columns [1] or [num_samples], num_samples, seed | the columns |
    | impute | the columns [n], seed int32 [2] | the columns [n] |

    Columns have the names of `argument_names` and the dtypes of `graph_columns`. A cell that is
    missing is drawn in `sample_given` and `impute`; drawn cells may be missing in `sample` and
    `sample_given`, where the schema allows it. A cell that does not fit its column fails the call,
    with its row, its column, what was expected and what came.
    """
    graph = _TableGraph(flow)
    arguments = argument_names(flow.schema.names)
    exact = _exact_inputs(flow)
    holed = {
        arguments[c.name]: tf.TensorSpec([None], served_dtype(c, True), arguments[c.name])
        for c in flow.schema
    }
    draw = {
        "num_samples": tf.TensorSpec([], tf.int32, "num_samples"),
        "seed": tf.TensorSpec([2], tf.int32, "seed"),
    }

    def log_prob(**columns):
        return {"log_prob": graph.log_prob(columns)}

    def sample(num_samples, seed):
        return graph.sample(num_samples, seed)

    def sample_given(num_samples, seed, **columns):
        given = {name: tf.broadcast_to(cells, [num_samples]) for name, cells in columns.items()}
        return graph.fill(given, seed, allow_missing=True)

    def impute(seed, **columns):
        return graph.fill(columns, seed, allow_missing=False)

    specs = {
        log_prob: exact,
        sample: draw,
        sample_given: draw | holed,
        impute: {"seed": draw["seed"]} | holed,
    }
    return {
        function.__name__: tf.function(function, autograph=False).get_concrete_function(**inputs)
        for function, inputs in specs.items()
    }


def _exact_inputs(flow):
    arguments = argument_names(flow.schema.names)
    return {
        arguments[c.name]: tf.TensorSpec([None], served_dtype(c, c.missing), arguments[c.name])
        for c in flow.schema
    }


def row_encoder(flow: "TableFlow") -> tuple[dict[str, tf.TensorSpec], Callable]:
    """What a signature of whole rows takes, by the arguments' names, and what encodes them.

    Returns:
        The inputs, and a function of a dict of columns that gives codes and numbers, as `Encoded`
        has them.
    """
    graph = _TableGraph(flow)

    def encode(columns):
        codes, numbers, _ = graph._encode(columns, allow_missing=False)
        return codes, numbers

    return _exact_inputs(flow), encode


def _in_tensors(marginal: Marginal) -> Marginal:
    """A marginal whose knots a SavedModel holds once, not in each operation that reads them."""
    return dataclasses.replace(marginal, knots=Knots(*map(tf.constant, marginal.knots)))


class _TableGraph:
    """A table flow between columns of cells, by their arguments' names."""

    def __init__(self, flow: "TableFlow"):
        self.network, self.schema = flow.network, flow.schema
        self.marginals = {m.column.name: _in_tensors(m) for m in flow.fitted_encoder.marginals}
        self.arguments = argument_names(flow.schema.names)
        self.fixed_order = flow.fixed_order
        self.order = orders(len(flow.schema), 1, flow.fixed_order)[0]
        # Functions in the graph, which signatures share.
        self._encode = tf.function(self._encode_columns, autograph=False)
        self._draw = tf.function(self._draw_missing, autograph=False)

    def log_prob(self, columns):
        codes, numbers, missing = self._encode(columns, allow_missing=False)
        seen = tf.zeros_like(missing, tf.float32)
        terms = self.network.log_terms(codes, numbers, seen, self.order)
        return ops.sum(terms, axis=1)

    def sample(self, num_samples, seed):
        codes = tf.zeros([num_samples, len(self.schema)], tf.int32)
        numbers = tf.zeros([num_samples, len(self.marginals), 4], tf.float32)
        missing = tf.ones([num_samples, len(self.schema)], tf.bool)
        return self._draw(codes, numbers, missing, seed, allow_missing=True)

    def fill(self, columns, seed, allow_missing):
        codes, numbers, missing = self._encode(columns, allow_missing=True)
        self._check_order(missing)
        drawn = self._draw(codes, numbers, missing, seed, allow_missing)
        return {
            name: tf.where(
                missing[:, place], drawn[name], tf.cast(columns[name], drawn[name].dtype)
            )
            for place, name in enumerate(self.arguments.values())
        }

    def _encode_columns(self, columns, allow_missing):
        """codes `[n, columns]`, numbers `[n, number columns, 4]`, missing `[n, columns]`."""
        cells = [
            encode_cells(
                column,
                self.marginals.get(column.name),
                columns[self.arguments[column.name]],
                allow_missing or column.missing,
            )
            for column in self.schema
        ]
        codes = tf.stack([each.codes for each in cells], axis=1)
        numbers = [each.numbers for each in cells if each.numbers is not None]
        empty = tf.zeros([tf.shape(codes)[0], 0, 4], tf.float32)
        missing = tf.stack([each.missing for each in cells], axis=1)
        return codes, tf.stack(numbers, axis=1) if numbers else empty, missing

    def _draw_missing(self, codes, numbers, missing, seed, allow_missing):
        """The columns with missing cells drawn, as `TableFlow` draws them."""
        is_drawn = tf.reduce_any(tf.gather(missing, self.order, axis=1), axis=0)
        order = tf.boolean_mask(self.order, is_drawn)
        seen = 1 - tf.cast(missing, tf.float32)
        codes, z = self.network.draw(codes, numbers, seen, order, seed, allow_missing)
        return self._decode(codes, z, seed, allow_missing)

    def _decode(self, codes, z, seed, allow_missing):
        noise = tf.random.stateless_uniform(tf.shape(z), seed + 1, dtype=tf.float64, alg="philox")
        place, cells = 0, {}
        for i, column in enumerate(self.schema):
            may_miss = column.missing and allow_missing
            if isinstance(column, Coded):
                drawn = decode_codes(column, codes[:, i], may_miss)
            else:
                marginal = self.marginals[column.name]
                numbers = codes[:, i], z[:, place], noise[:, place]
                drawn = decode_numbers(marginal, *numbers, may_miss)
                place += 1
            cells[self.arguments[column.name]] = drawn
        return cells

    def _check_order(self, missing):
        """In one order, cells that are given must come first."""
        if self.fixed_order is None:
            return
        in_order = tf.gather(missing, self.fixed_order, axis=1)
        is_right = tf.reduce_all(in_order[:, 1:] | ~in_order[:, :-1])
        names = [self.schema.names[i] for i in self.fixed_order]
        message = (
            f"The flow is trained on one order of its columns, {names}, and fills only cells of "
            "which all later ones in the row are missing too"
        )
        tf.debugging.Assert(is_right, [message])


def example_requests(signatures: Mapping[str, Any]) -> list[tuple[str, dict[str, np.ndarray]]]:
    """A request of one row, which is drawn, to each of `make_table_signatures`."""
    inputs = {"num_samples": np.int32(1), "seed": np.zeros(2, "int32")}
    row = signatures["sample"](**{name: tf.constant(value) for name, value in inputs.items()})
    inputs |= {name: value.numpy() for name, value in row.items()}
    return [
        (name, {key: inputs[key].astype(spec.dtype.as_numpy_dtype) for key, spec in specs.items()})
        for name, specs in (
            (name, function.structured_input_signature[1]) for name, function in signatures.items()
        )
    ]
