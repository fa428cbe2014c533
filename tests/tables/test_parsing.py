"""Cells that their column does not allow: what was expected, what came, which row and column."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from tfflows.tables import Boolean, Category, Datetime, Integer, Interval, Positive, Real, Schema

DAY = Datetime("c", "D")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (Real("c"), [1.0, None], "expected a value. Received: a missing cell; `missing: true`"),
        (Real("c"), [1.0, np.inf], "expected a finite number. Received: inf"),
        (Real("c"), [1, "abc"], "expected a number. Received: 'abc'"),
        (Positive("c"), [1.0, -2], "expected a number above 0. Received: -2"),
        (Positive("c", (0,)), [0.0, -2], r"above 0, or one of \[0.0\]. Received: -2"),
        (Interval("c", 0, 1), [0.5, 1], r"expected a number in \(0, 1\). Received: 1"),
        (Integer("c"), [1, 1.5], "expected a whole number. Received: 1.5"),
        (Integer("c"), [1, 1e300], "expected a whole number. Received: 1e.300"),
        (Integer("c"), np.array([1, 2**63], "uint64"), r"below 2\*\*63. Received: 92233"),
        (Integer("c", low=0), [1, -1], "expected a value at least 0. Received: -1"),
        (Integer("c", high=3), [1, 4], "expected a value at most 3. Received: 4"),
        (Integer("c", 0, 3), [1, 4], r"expected a value in \[0, 3\]. Received: 4"),
        (Integer("c", step=0.1), [0.3, 0.25], "expected a multiple of 0.1. Received: 0.25"),
        (
            Category("c", ("Female", "Male")),
            ["Male", "female"],
            r"one of the 2 values of the category, \['Female', 'Male'\]. Received: 'female'; "
            "did you mean Female.*; `other: true`",
        ),
        (Boolean("c"), [True, "maybe"], "2 values of the boolean.*Received: 'maybe'"),
        (DAY, ["2020-01-01", "2020-13-01"], "a date as ISO 8601. Received: '2020-13-01'"),
        (DAY, ["2020-01-01", "2020-01-01T10:00"], "a date as whole units of 'D'"),
        (Datetime("c", format="%d/%m/%Y"), ["1/2/2020", "2/13/2020"], "as %d/%m/%Y. Received"),
        (Datetime("c", high="2020-01-02"), ["2020-01-01", "2021-01-01"], "at most 2020-01-02"),
    ],
)
def test_a_bad_cell_is_refused_by_row_and_column(column, values, message):
    with pytest.raises(ValueError, match=f"^row 1, column 'c': .*{message}"):
        Schema([column]).parse({"c": values})


def parsed(column, values):
    return Schema([column]).parse({"c": values})["c"].values.tolist()


def test_cells_may_come_in_any_dtype_that_says_the_same():
    series = pd.Series
    for values in (
        [1, 2],
        [1.0, 2.0],
        ["1", " 2.0"],
        series([1, 2], dtype="Int64"),
        series([1, 2], dtype="int8"),
        series(["1", "2"], dtype="category"),
        series([1, 2], dtype="int64[pyarrow]"),
        series(["1", "2"], dtype="string"),
        [decimal.Decimal(1), decimal.Decimal(2)],
    ):
        assert parsed(Integer("c"), values) == [1, 2]
        assert parsed(Real("c"), values) == [1.0, 2.0]
        assert parsed(Category("c", (1, 2, 3)), values) == [0, 1]
    assert parsed(Integer("c"), [2**60 + 1]) == [2**60 + 1]
    assert parsed(Integer("c", step=0.01), np.float32([0.07, 99.99])) == [7, 9999]
    assert parsed(Boolean("c"), ["True", 0, np.bool_(True)]) == [1, 0, 1]
    assert parsed(Category("c", ("1", "2")), [2, 1]) == [1, 0]
    assert parsed(Category("c", ("a", "b")), np.array([b"b", b"a"])) == [1, 0]


def test_dates_may_come_in_any_dtype():
    expected = [18262, 18263]
    times = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02"]))
    zoned = times.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    days = [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]
    for values in (
        ["2020-01-01", "2020-01-02"],
        pd.Series(["2020-01-01", "2020-01-02"], dtype="category"),
        times,
        times.astype("datetime64[s]"),
        times.astype("timestamp[us][pyarrow]"),
        zoned,
        days,
        np.array(days, "datetime64[D]"),
    ):
        assert parsed(DAY, values) == expected
    compact = Datetime("c", format="%Y%m%d")
    assert parsed(compact, [20200101, 20200102]) == expected
    offset = Datetime("c", "h", "%Y-%m-%d %H:%M%z")
    assert parsed(offset, ["1970-01-01 05:00+0200"]) == [3]
    assert parsed(DAY, ["9999-12-31", "0001-01-01"]) == [2932896, -719162]


def test_missing_cells_are_zero():
    column = Category("c", ("a", "b"), missing=True)
    cells = Schema([column]).parse({"c": ["b", None, np.nan, pd.NA]})["c"]
    np.testing.assert_array_equal(cells.values, [1, 0, 0, 0])
    np.testing.assert_array_equal(cells.missing, [False, True, True, True])
