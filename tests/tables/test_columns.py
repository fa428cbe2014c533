"""Kinds of columns: their bounds, codes and grids, and what they refuse."""

import json

import numpy as np
import pytest

from tfflows import tables
from tfflows.tables.kinds import KINDS, change_kind, column_from_config

COLUMNS = [
    tables.Real("x", atoms=[0], missing=True, dtype="float32"),
    tables.Positive("x", (0.0, 2.5)),
    tables.Interval("x", 0, 100, atoms=(0, 100)),
    tables.Integer("x", low=-3, high=np.int64(7)),
    tables.Integer("x", low=0.5, step=0.25, offset=0.5),
    tables.Ordinal("x", ["low", "mid", "high"], dtype="category"),
    tables.Category("x", np.array([1, 2, 3]), other=True),
    tables.Boolean("x"),
    tables.Boolean("x", ("no", "yes")),
    tables.Datetime("x", "m", format="%d.%m.%Y %H:%M", low="2020-01-01", missing=True),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: c.kind)
def test_the_config_is_json_and_makes_the_column_again(column):
    config = json.loads(json.dumps(column.get_config()))
    assert column_from_config(config) == column
    assert hash(column_from_config(config)) == hash(column)
    assert KINDS[config["kind"]] is type(column)


def test_bounds_are_in_the_units_of_cells():
    assert tables.Real("x").bounds == (-np.inf, np.inf)
    assert tables.Positive("x").bounds == (0, np.inf)
    assert tables.Interval("x", -1, 2).bounds == (-1, 2)
    assert tables.Integer("x", low=0).bounds == (0, None)
    assert tables.Integer("price", low=0.07, high=1.5, step=0.01).bounds == (7, 150)
    assert tables.Integer("x", low=1.5, step=0.5, offset=0.5).bounds == (2, None)
    assert tables.Datetime("x", "D", low="1970-01-11").bounds == (10, None)
    assert tables.Datetime("x", "h", high="1970-01-02").bounds == (None, 24)


def test_ticks_of_a_grid_come_back_as_the_same_floats():
    prices = np.arange(100_000) / 100
    column = tables.Integer("price", step=0.01)
    np.testing.assert_array_equal(column.to_ticks(prices), np.arange(100_000))
    np.testing.assert_array_equal(column.from_ticks(np.arange(100_000)), prices)
    assert tables.Integer("x").from_ticks(np.array([3])).dtype == "int64"
    pixels = tables.Integer("x", step=1 / 255)
    np.testing.assert_array_equal(pixels.from_ticks(np.arange(256)), np.arange(256) / 255)


def test_a_number_off_the_grid_is_told_from_one_on_it():
    column = tables.Integer("price", step=0.01)
    assert column.is_on_grid(np.array([0.07, 1234567.89])).all()
    assert not column.is_on_grid(np.array([0.075, 0.0701, 1234567.891])).any()
    single = np.float32([0.07, 123.45])
    assert column.is_on_grid(single, eps=1.2e-7).all()
    assert not column.is_on_grid(single).all()


def test_codes():
    column = tables.Category("x", ["a", "1", "b"], other=True)
    assert [column.code_of(v) for v in ["a", "b", 1, "c", np.str_("1")]] == [0, 2, 1, 3, 1]
    assert column.num_codes == 4
    numbers = tables.Ordinal("x", [1, 2.5])
    assert [numbers.code_of(v) for v in ["1", "1.0", np.float64(2.5), 3]] == [0, 0, 1, -1]
    assert [tables.Boolean("x").code_of(v) for v in ["true", "False", 1, "2"]] == [1, 0, 1, -1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tables.Real(3), "name of a column as a string. Received: 3"),
        (lambda: tables.Real("x", missing=2), "column 'x': `missing` to be true or false"),
        (lambda: tables.Real("x", dtype=int), "column 'x': `dtype` to be the name of a dtype"),
        (lambda: tables.Real("x", atoms=["a"]), "`atoms` to be a list of numbers"),
        (lambda: tables.Real("x", atoms=[np.nan]), r"finite `atoms` in \[-inf, inf\]"),
        (lambda: tables.Positive("x", atoms=[-1]), r"`atoms` in \[0.0, inf\]"),
        (lambda: tables.Interval("x", 1, 0), r"numbers `low` < `high`. Received: \(1, 0\)"),
        (lambda: tables.Interval("x", 0, 1, [2]), r"`atoms` in \[0.0, 1.0\]"),
        (lambda: tables.Integer("x", low=0.5), "`low` to be a whole number, or null"),
        (lambda: tables.Integer("x", low=2, high=1), "`low` <= `high`"),
        (lambda: tables.Integer("x", step=0), "a positive number `step`"),
        (lambda: tables.Integer("x", high=0.15, step=0.1), "`high` to be a multiple of 0.1"),
        (lambda: tables.Category("x", "abc"), "`values` to be a list. Received: 'abc'"),
        (lambda: tables.Category("x", []), "at least one value"),
        (lambda: tables.Category("x", ["a", "b", "a"]), "differ. Received: \"'a' twice\""),
        (lambda: tables.Ordinal("x", [None]), "strings or numbers. Received: None"),
        (lambda: tables.Boolean("x", ["a"]), "two `values`"),
        (lambda: tables.Datetime("x", "month"), r"one of \['D', 'h'.*Received: 'month'"),
        (lambda: tables.Datetime("x", low="soon"), "`low` to be a date such as 2024-12-31"),
        (lambda: tables.Datetime("x", low="2021", high="2020"), "`low` <= `high`"),
        (lambda: column_from_config({"kind": "reel", "name": "x"}), "'reel'; did you mean real"),
        (
            lambda: column_from_config({"kind": "real", "name": "x", "atom": []}),
            "keys of column 'x' .*'atom'; did you mean atoms",
        ),
        (lambda: column_from_config({"kind": "interval", "name": "x"}), "to have a key 'low'"),
    ],
)
def test_bad_columns_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_kind_changes_where_the_column_says_all_of_it():
    changed = change_kind(tables.Integer("x", low=0, dtype="int64", missing=True), "real")
    assert changed == tables.Real("x", missing=True)
    assert change_kind(tables.Boolean("x", (0, 1)), "ordinal") == tables.Ordinal("x", (0, 1))
    with pytest.raises(ValueError, match=r"The integer 'x' does not say it: .*tables.Category"):
        change_kind(tables.Integer("x"), "category")
    with pytest.raises(ValueError, match="the order of the levels of column 'x'"):
        change_kind(tables.Category("x", ("low", "high")), "ordinal")
