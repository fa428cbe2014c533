"""Names of columns and classes: saved with the flow, and what later data are matched by."""

import keras
import numpy as np
import pytest
from model_table import small_flow

import tfflows
from tfflows.datasets import DataSchema

ROWS = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
SCHEMA = DataSchema(("a", "b"), "kind", ("3", "1", "2"), ("t",), ("b",))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("a", "b"), ["a", "b"]),
        (("b", "kind", "a"), ["a", "b"]),
        (("0", "1"), None),  # a table without names is taken in order
    ],
)
def test_columns_are_found_by_name(names, found):
    assert SCHEMA.find_columns(names, "table.csv") == found


def test_columns_without_names_are_taken_in_order():
    nameless = DataSchema(("0", "1"))
    assert nameless.find_columns(("x", "y"), "table.csv") is None
    assert nameless.find_columns(("0", "1", "2"), "table.csv") is None
    assert DataSchema().find_columns(("x", "y"), "table.csv") is None


def test_a_missing_column_and_class_are_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"table\.csv lacks 1 of the 2 columns .* on: 'b'"):
        SCHEMA.find_columns(("a", "c"), "table.csv")
    assert [SCHEMA.class_number(name) for name in SCHEMA.classes] == [0, 1, 2]
    with pytest.raises(ValueError, match=r"no class '4'.* trained on 3, 1, 2"):
        SCHEMA.class_number("4")


def test_names_are_saved_with_a_flow_and_its_copies(tmp_path):
    flow = small_flow(num_couplings=1)
    assert "data_schema" not in flow.get_config()
    flow.data_schema = SCHEMA
    flow.save(tmp_path / "flow.keras")
    assert tfflows.load_model(tmp_path / "flow.keras").data_schema == SCHEMA
    assert keras.models.clone_model(flow).data_schema == SCHEMA
    stack = tfflows.Flow(tfflows.layers.Reverse(), (2,))
    stack.data_schema = SCHEMA
    assert tfflows.Flow.from_config(stack.get_config()).data_schema == SCHEMA


def test_dequantized_columns_of_samples_are_whole_numbers():
    rounded = SCHEMA.round_dequantized(np.asarray([[0.5, 2.75], [1.5, -0.25]]))
    np.testing.assert_array_equal(rounded, [[0.5, 2], [1.5, -1]])


def test_tables_of_pandas_are_matched_by_the_names_of_the_first_fit():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": ROWS[:, 0], "b": 5 + ROWS[:, 1]})
    flow = small_flow(num_couplings=1)
    flow.compile(keras.optimizers.SGD(1e-3))
    flow.fit(table, epochs=1, verbose=0)
    assert flow.data_schema.columns == ("a", "b")
    expected = flow.log_prob(table.to_numpy("float32"))
    swapped = table[["b", "a"]].assign(c=1.0)
    np.testing.assert_allclose(flow.log_prob(swapped), expected, rtol=1e-6)
    np.testing.assert_allclose(flow.encode(swapped), flow.encode(table), rtol=1e-6)
    nll = flow.evaluate(swapped, verbose=0, return_dict=True)["nll"]
    np.testing.assert_allclose(nll, -np.mean(expected), rtol=1e-5)
    flow.fit(swapped, validation_data=swapped, epochs=1, verbose=0)
    with pytest.raises(ValueError, match="The table lacks 1 of the 2 columns"):
        flow.log_prob(table[["a"]].assign(c=1.0))


def test_conditions_of_pandas_are_matched_by_name_too():
    pd = pytest.importorskip("pandas")
    flow = small_flow(condition_shape=(3,), num_couplings=1)
    flow.compile(keras.optimizers.SGD(1e-3))
    kinds = pd.DataFrame(np.eye(3, dtype="float32")[np.arange(60) % 3], columns=["c", "d", "e"])
    flow.fit((ROWS, kinds), epochs=1, verbose=0)
    assert flow.data_schema == DataSchema(condition_columns=("c", "d", "e"))
    expected = flow.log_prob(ROWS, kinds.to_numpy())
    swapped = kinds[["e", "c", "d"]]
    for given in (flow.log_prob(ROWS, swapped), flow.log_prob((ROWS, swapped))):
        np.testing.assert_allclose(given, expected, rtol=1e-6)
    drawn = flow.sample(60, swapped, seed=0)
    np.testing.assert_allclose(drawn, flow.sample(60, kinds.to_numpy(), seed=0), rtol=1e-6)
    nll = flow.evaluate({"x": ROWS, "condition": swapped}, verbose=0, return_dict=True)["nll"]
    np.testing.assert_allclose(nll, -np.mean(expected), rtol=1e-5)
    with pytest.raises(ValueError, match="lacks 1 of the 3 columns"):
        flow.log_prob(ROWS, kinds[["c", "d"]])


def test_integers_of_pandas_are_matched_too_and_arrays_stay():
    pd = pytest.importorskip("pandas")
    flow = small_flow(num_couplings=1)
    flow.data_schema = SCHEMA
    table = pd.DataFrame({"b": [1, 2], "a": [3, 4]})
    expected = flow.log_prob(np.asarray([[3, 1], [4, 2]], "float32"))
    np.testing.assert_allclose(flow.log_prob(table), expected, rtol=1e-6)
    assert SCHEMA.in_order(ROWS) is ROWS
    x, condition = SCHEMA.in_order((table, ROWS))
    assert list(x.columns) == ["a", "b"]
    assert condition is ROWS


def test_columns_of_a_table_without_a_density_are_warned_of_once():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=300), "is_new": rng.uniform(size=300) < 0.5})
    flow = small_flow(num_couplings=1)
    flow.compile(keras.optimizers.SGD(1e-3))
    with pytest.warns(
        UserWarning, match=r"The table has columns without a density.*'is_new' has 2"
    ):
        flow.fit(table, epochs=1, verbose=0)
