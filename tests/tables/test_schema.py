"""Schemas: YAML, configs, and data that comes back as it went in."""

import json

import numpy as np
import pandas as pd
import pytest

from tfflows.tables import (
    Boolean,
    Category,
    Datetime,
    Integer,
    Interval,
    Ordinal,
    Positive,
    Real,
    Schema,
)

SCHEMA = Schema(
    [
        Integer("age", low=0, missing=True, dtype="float64"),
        Real("x", dtype="float32"),
        Positive("p", (0.0,)),
        Interval("i", 0, 1),
        Integer("price", step=0.01),
        Ordinal("o", ("lo", "mid", "hi"), dtype="category"),
        Category("c", ("a", "b"), missing=True, dtype="object"),
        Category("n", (1, 2, 3), dtype="int64"),
        Boolean("b", dtype="bool"),
        Boolean("y", ("no", "yes"), dtype="category"),
        Datetime("d", "D", "%d.%m.%Y", dtype="object"),
        Datetime("t", "s", dtype="datetime64[ns]"),
        Datetime("z", "s", missing=True, dtype="datetime64[ns, UTC]"),
    ]
)


def frame():
    zoned = pd.to_datetime(["2020-01-01 12:00:01Z", None, "2021-03-04 00:00:00Z"])
    times = pd.to_datetime(["2020-01-01 12:00:01", "1969-12-31 23:59:59", "2021-03-04 00:00:00"])
    return pd.DataFrame(
        {
            "age": [1, np.nan, 3],
            "x": np.float32([1.5, -2, 0.1]),
            "p": [0, 1.0, 2.5],
            "i": [0.1, 0.5, 0.2],
            "price": [0.07, 1.99, 0.3],
            "o": pd.Categorical(["lo", "hi", "lo"], ["lo", "mid", "hi"], ordered=True),
            "c": pd.Series(["a", None, "b"], dtype=object),
            "n": [3, 1, 1],
            "b": [True, False, True],
            "y": pd.Categorical(["no", "yes", "yes"], ["no", "yes"]),
            "d": pd.Series(["31.12.2020", "01.01.2021", "05.06.1969"], dtype=object),
            "t": times.astype("datetime64[ns]"),
            "z": zoned.astype("datetime64[ns, UTC]"),
        }
    )


def test_cells_hold_the_values_known_by_hand():
    cells = SCHEMA.parse(frame())
    expected = {
        "age": [1, 0, 3],
        "x": [1.5, -2, np.float32(0.1)],
        "price": [7, 199, 30],
        "o": [0, 2, 0],
        "n": [2, 0, 0],
        "b": [1, 0, 1],
        "y": [0, 1, 1],
        "d": [18627, 18628, -210],
        "t": [1577880001, -1, 1614816000],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(cells[name].values, values)
    assert {n: c.values.dtype for n, c in cells.items()} == {
        n: "float64" if n in ("x", "p", "i") else "int64" for n in SCHEMA.names
    }
    np.testing.assert_array_equal(cells["age"].missing, [False, True, False])
    np.testing.assert_array_equal(cells["z"].missing, [False, True, False])


def test_unparsed_cells_are_the_same_frame():
    table = frame()
    pd.testing.assert_frame_equal(SCHEMA.unparse(SCHEMA.parse(table)), table)


def test_unparsed_cells_as_a_dict_and_as_arrow():
    cells = SCHEMA.parse(frame())
    arrays = SCHEMA.unparse(cells, to="dict")
    assert list(arrays) == list(SCHEMA.names)
    np.testing.assert_array_equal(arrays["price"], [0.07, 1.99, 0.3], strict=True)
    again = SCHEMA.parse(SCHEMA.unparse(cells, to="arrow"))
    for name in SCHEMA.names:
        np.testing.assert_array_equal(again[name].values, cells[name].values)
        np.testing.assert_array_equal(again[name].missing, cells[name].missing)
    with pytest.raises(ValueError, match=r"'pandas', 'dict' or 'arrow'. Received: 'polars'"):
        SCHEMA.unparse(cells, to="polars")


def test_missing_cells_come_back_in_nullable_dtypes():
    schema = Schema([Integer("i", dtype="int64"), Boolean("b", dtype="bool"), Real("x")])
    data = {"i": [2**60 + 1, None], "b": [True, None], "x": [None, 0.5]}
    data["i"] = pd.array(data["i"], "Int64")
    table = schema.unparse(schema.parse(data, allow_missing=True))
    assert [str(d) for d in table.dtypes] == ["Int64", "boolean", "float64"]
    assert table["i"][0] == 2**60 + 1
    assert table.isna().to_numpy().tolist() == [[False, False, True], [True, True, False]]


def test_values_that_training_did_not_see_share_a_code():
    schema = Schema([Category("c", ("a", "b"), other=True)])
    cells = schema.parse({"c": ["b", "zebra", "(other)"]})
    np.testing.assert_array_equal(cells["c"].values, [1, 2, 2])
    assert schema.unparse(cells)["c"].tolist() == ["b", "(other)", "(other)"]


def test_numbers_that_a_dtype_does_not_hold_come_back_in_a_wider_one():
    schema = Schema([Integer("i", dtype="uint8"), Datetime("d", dtype="datetime64[ns]")])
    small = schema.unparse(schema.parse({"i": [0, 255], "d": ["2020-01-01", "2020-01-02"]}))
    assert [str(d) for d in small.dtypes] == ["uint8", "datetime64[ns]"]
    large = schema.unparse(schema.parse({"i": [-1, 256], "d": ["1970-01-01", "2500-01-01"]}))
    assert large["i"].tolist() == [-1, 256]
    assert large["d"].dt.year.tolist() == [1970, 2500]
    schema = Schema([Category("c", (1, 2), other=True, dtype="int64")])
    assert schema.unparse(schema.parse({"c": [2, 9]}))["c"].tolist() == [2, "(other)"]


def test_some_columns_of_a_table():
    cells = SCHEMA.parse(frame(), columns=["n", "age"])
    assert list(cells) == ["age", "n"]
    assert list(SCHEMA.unparse(cells).columns) == ["age", "n"]
    with pytest.raises(KeyError, match="'agee'; did you mean age"):
        SCHEMA.parse(frame(), columns=["agee"])


def test_an_empty_table_has_no_cells():
    cells = SCHEMA.parse(frame()[:0])
    assert {len(c.values) for c in cells.values()} == {0}
    assert [cells[n].values.dtype for n in ("x", "n")] == ["float64", "int64"]
    pd.testing.assert_frame_equal(SCHEMA.unparse(cells), frame()[:0])


def test_yaml_and_json_make_the_schema_again(tmp_path):
    text = SCHEMA.to_yaml(tmp_path / "schema.yaml")
    assert Schema.from_yaml(text) == SCHEMA == Schema.from_yaml(tmp_path / "schema.yaml")
    assert Schema.from_config(json.loads(json.dumps(SCHEMA.get_config()))) == SCHEMA
    assert "    step: 0.01\n" in text
    assert "    values: [lo, mid, hi]\n" in text


def test_yaml_keeps_text_that_looks_like_something_else():
    values = ("1", "true", "null", "", "2020-01-01", "1e5", "0x1", "a: b", "é", "no", "~", " x ")
    schema = Schema([Category("on", values), Category("1", (1, 2.5)), Datetime("d", low="2020")])
    assert Schema.from_yaml(schema.to_yaml()) == schema
    assert Schema.from_yaml("columns:\n  d: {kind: datetime, low: 2020-01-02}\n")["d"].bounds[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colums:\n  a: {kind: real}\n", r"key `columns`.*\['colums'\]; did you mean columns"),
        ("columns:\n  a: {kind: catgory}\n", "'catgory'; did you mean category"),
        ("columns:\n  a: {kind: real, atom: 0}\n", "'atom'; did you mean atoms"),
        ("columns:\n  a: real\n", "column 'a': expected keys such as `kind: real`"),
        (
            "columns:\n  a: {kind: real}\n  a: {kind: real}\n",
            "expected YAML. Received: line 3.*duplicate",
        ),
        ("columns:\n  a: [\n", "expected YAML. Received: line 3"),
        ("columns:\n  a: &a {kind: real}\n  b: *a\n", r"line 3.*the alias \*a is not read"),
        ("columns: {}\n", "at least one column"),
    ],
)
def test_bad_yaml_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        Schema.from_yaml(text)
    assert "\n" not in str(caught.value)


def test_columns_are_found_and_replaced():
    assert SCHEMA["n"].values == (1, 2, 3)
    assert "n" in SCHEMA
    with pytest.raises(KeyError, match="'prise'; did you mean price"):
        SCHEMA["prise"]
    changed = SCHEMA.replace(age="real", c=None, n=Integer("n"))
    assert changed["age"] == Real("age", missing=True, dtype="float64")
    assert "c" not in changed
    assert changed["n"].kind == "integer"
    with pytest.raises(ValueError, match=r"different names. Received: \['x'\] twice"):
        Schema([Real("x"), Integer("x")])
    with pytest.raises(ValueError, match="at least one column"):
        Schema([])
    with pytest.raises(ValueError, match="columns such as"):
        Schema(["x"])


def test_the_repr_is_a_table():
    lines = repr(SCHEMA).splitlines()
    assert lines[0] == "Schema of 13 columns"
    assert lines[5] == "  price  integer   step=0.01"
