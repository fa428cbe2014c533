"""Rows of an Apache Beam pipeline, each with the density of its own."""

import numpy as np
import pytest
from model_table import small_flow

pytest.importorskip("apache_beam", reason="apache-beam is not installed")

import apache_beam as beam  # pyright: ignore[reportMissingImports]
from apache_beam.ml.inference.base import (  # pyright: ignore[reportMissingImports]
    KeyedModelHandler,
    RunInference,
)
from apache_beam.testing.util import (  # pyright: ignore[reportMissingImports]
    assert_that,
)

from tfflows.beam import FlowModelHandler
from tfflows.utils.data_schema import DataSchema

X = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")


@pytest.fixture
def flow():
    flow = small_flow(num_couplings=1)
    flow.data_schema = DataSchema(("a", "b"))
    return flow


def test_keyed_rows_are_scored_by_the_names_of_columns(tmp_path, flow):
    flow.save(tmp_path / "flow.keras")
    expected = np.asarray(flow.log_prob(X))
    rows = [(i, {"b": float(x[1]), "a": float(x[0]), "id": i}) for i, x in enumerate(X)]
    rows.append((50, {"a": None, "b": 1.0}))

    def check(results):
        assert sorted(key for key, _ in results) == list(range(51))
        found = np.asarray([result.inference for _, result in sorted(results, key=lambda r: r[0])])
        np.testing.assert_allclose(found[:50], expected, rtol=1e-5, atol=1e-5)
        assert np.isnan(found[50])

    handler = KeyedModelHandler(FlowModelHandler(str(tmp_path / "flow.keras"), max_batch_size=16))
    with beam.Pipeline("DirectRunner") as pipeline:
        assert_that(pipeline | beam.Create(rows) | RunInference(handler), check)


def test_arrays_are_scored_and_other_rows_refused(flow):
    handler = FlowModelHandler("flow.keras")
    found = [result.inference for result in handler.run_inference(list(X), flow)]
    np.testing.assert_allclose(found, flow.log_prob(X), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="A row has no column 'b'"):
        handler.run_inference([{"a": 1.0}], flow)
    with pytest.raises(ValueError, match=r"rows of 2 numbers, for \(2,\). Received: \(3,\)"):
        handler.run_inference([np.zeros(3)], flow)
    flow.data_schema = DataSchema()
    with pytest.raises(ValueError, match="does not know the names of its columns: give columns="):
        handler.run_inference([{"a": 1.0}], flow)
