"""Which kinds columns are guessed to be."""

import datetime
from pathlib import Path

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

SHARED = Path(__file__).parents[3] / "shared/data"
N = 400


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def inferred(values, name="c", **overrides):
    return Schema.infer({name: values}, **overrides)[name]


def test_whole_numbers_are_integers(rng):
    assert inferred(rng.poisson(3, N)) == Integer("c", low=0, dtype="int64")
    assert inferred(rng.integers(-900, 900, N)) == Integer("c", dtype="int64")
    holes = np.where(rng.random(N) < 0.1, np.nan, rng.integers(0, 10_000, N))
    assert inferred(holes) == Integer("c", low=0, missing=True, dtype="float64")
    big = rng.integers(2**60, 2**62, N)
    assert inferred(big) == Integer("c", low=0, dtype="int64")
    np.testing.assert_array_equal(
        Schema.infer({"c": big}).parse({"c": big})["c"].values, big, strict=True
    )


def test_an_integer_with_few_values_is_no_category_and_has_the_ends_of_its_scale(rng):
    assert inferred(rng.integers(1, 6, N)) == Integer("c", 1, 5, dtype="int64")
    hours = np.minimum(rng.poisson(40, 5000), 50)  # capped: many rows on 50
    assert inferred(hours) == Integer("c", 0, 50, dtype="int64")


def test_one_value_is_a_category_and_two_are_a_boolean(rng):
    assert inferred([7] * 9) == Category("c", (7,), dtype="int64")
    assert inferred([None, 1.5, 1.5]) == Category("c", (1.5,), missing=True, dtype="float64")
    assert inferred(rng.integers(0, 2, N)) == Boolean("c", (0, 1), dtype="int64")
    assert inferred(rng.choice([1.5, 2.5], N)) == Boolean("c", (1.5, 2.5), dtype="float64")
    assert inferred([1.5, 2.5, 2.5]).kind == "integer"  # too few rows to say
    assert inferred(rng.random(N) < 0.5) == Boolean("c", dtype="bool")
    words = pd.Series(rng.choice(["Yes", "No"], N), dtype=object)
    assert inferred(words) == Boolean("c", ("No", "Yes"), dtype="object")
    maybe = pd.Series(rng.choice([True, False, None], N), dtype=object)
    assert inferred(maybe) == Boolean("c", missing=True, dtype="object")


def test_rounded_numbers_are_integers_with_a_step(rng):
    assert inferred(rng.integers(0, 10**5, N) / 100) == Integer(
        "c", low=0, step=0.01, dtype="float64"
    )
    single = np.float32(rng.integers(0, 1000, N) / 10)
    assert inferred(single) == Integer("c", low=0, step=0.1, dtype="float32")
    pixels = rng.integers(0, 256, N) / 255
    assert inferred(pixels) == Integer("c", low=0, step=1 / 255, dtype="float64")
    assert inferred(rng.normal(size=20_000).round(4)) == Integer("c", step=1e-4, dtype="float64")


def test_whole_numbers_that_were_standardized_are_on_a_grid(rng):
    x = rng.binomial(60, 0.5, N)
    z = (x - x.mean()) / x.std()
    column = inferred(z)
    assert column.step == pytest.approx(1 / x.std())
    cells = Schema([column]).parse({"c": z})
    np.testing.assert_array_equal(cells["c"].values, x - x.min())
    np.testing.assert_allclose(Schema([column]).unparse(cells)["c"], z, atol=1e-13)


def test_missing_cells_of_a_grid_that_zero_is_not_on():
    data = {"c": [0.3, None, 1.3, 2.3, 1.3] * 10}
    schema = Schema([Integer("c", missing=True, offset=0.3)])
    cells = schema.parse(data)
    np.testing.assert_array_equal(cells["c"].values[:5], [0, 0, 1, 2, 1])
    np.testing.assert_array_equal(schema.unparse(cells)["c"], np.array(data["c"], float))


def test_fine_rounding_with_no_repeats_is_real(rng):
    assert inferred(rng.normal(size=N).round(6)) == Real("c", dtype="float64")


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1e8, 1e300])
def test_the_unit_of_numbers_does_not_matter(rng, scale):
    x = scale * rng.normal(size=N)
    assert inferred(x) == Real("c", dtype="float64")
    assert inferred(np.abs(x)).kind in ("real", "positive")
    few = scale * np.array([1.0, 2.5, 2.6, 3.75])[rng.integers(0, 4, N)]
    schema = Schema.infer({"c": few})
    back = schema.unparse(schema.parse({"c": few}))["c"]
    np.testing.assert_allclose(back, few, rtol=1e-12, atol=0)


def test_reals(rng):
    normal, skewed = rng.normal(size=N), rng.lognormal(size=N)
    assert inferred(normal) == Real("c", dtype="float64")
    assert inferred(np.float32(normal)) == Real("c", dtype="float32")
    assert inferred(skewed) == Positive("c", dtype="float64")
    assert inferred(100 + normal) == Real("c", dtype="float64")
    assert inferred(rng.random(N)) == Interval("c", 0, 1, dtype="float64")
    assert inferred(100 * rng.random(N)) == Real("c", dtype="float64")
    assert inferred(100 * rng.random(N), "fat_percent").kind == "interval"
    scaled = (normal - normal.min()) / np.ptp(normal)  # its ends are those of the data only
    assert inferred(scaled) == Real("c", dtype="float64")
    assert inferred(1e12 * skewed) == Positive("c", dtype="float64")


def test_values_with_many_rows_are_atoms(rng):
    zeros = np.where(rng.random(N) < 0.3, 0, rng.lognormal(size=N))
    assert inferred(zeros) == Positive("c", (0.0,), dtype="float64")
    rare = rng.lognormal(size=N)
    rare[:2] = 0  # no row is lost
    assert inferred(rare) == Positive("c", (0.0,), dtype="float64")
    clipped = np.clip(rng.normal(size=N), -1, 1)
    assert inferred(clipped) == Real("c", (-1.0, 1.0), dtype="float64")
    full = np.minimum(rng.exponential(size=N), 1)
    assert inferred(full) == Interval("c", 0, 1, (1.0,), dtype="float64")


def test_few_irregular_numbers_are_ordinal(rng):
    levels = np.sqrt([2, 3, 5, 7])
    assert inferred(rng.choice(levels, N)) == Ordinal("c", levels, dtype="float64")


def test_text_is_what_it_says(rng):
    text = pd.Series(rng.choice(["1", "2", "30"], N), dtype=object)
    assert inferred(text) == Integer("c", 1, 30, dtype="object")
    zip_codes = pd.Series(["02139", "10001", "94110"] * 20, dtype=object)
    expected = Category("c", ("02139", "10001", "94110"), dtype="object")
    assert inferred(zip_codes) == expected
    counts = pd.Series(rng.choice(["1", "2", "3+"], N), dtype=object)
    assert inferred(counts) == Category("c", ("1", "2", "3+"), dtype="object")
    rare = [*["a", "b", "c"] * 20, "d"]
    assert inferred(pd.Series(rare, dtype=object)).other


def test_categorical_dtypes_keep_their_values(rng):
    values = rng.choice(list("abc"), N)
    given = pd.Categorical(values, list("cbad"))
    assert inferred(given) == Category("c", list("cbad"), dtype="category")
    ordered = pd.Categorical(values, list("cba"), ordered=True)
    assert inferred(ordered) == Ordinal("c", list("cba"), dtype="category")
    numbers = pd.Categorical(rng.choice([10, 20, 30], N))
    assert inferred(numbers) == Category("c", (10, 20, 30), dtype="category")


@pytest.mark.parametrize(
    ("texts", "unit", "format"),
    [
        (["2020-01-01", "2020-02-03"], "D", "%Y-%m-%d"),
        (["31/12/2020", "01/02/2020"], "D", "%d/%m/%Y"),
        (["12/31/2020", "1/2/2020"], "D", "%m/%d/%Y"),
        (["1/2/2020", "3/4/2020"], "D", "%m/%d/%Y"),  # both orders fit
        (["31.12.2020", "01.02.2020"], "D", "%d.%m.%Y"),
        (["5 Jan 2020", "16 Feb 2021"], "D", "%d %b %Y"),
        (["Jan 5, 2020", "Feb 16, 2021"], "D", "%b %d, %Y"),
        (["05-Jan-20", "06-Feb-21"], "D", "%d-%b-%y"),
        (["2020-01-01 10:00:00", "2020-01-02 11:00:00"], "h", "%Y-%m-%d %H:%M:%S"),
        (["2020-01-01T10:00:01Z", "2020-01-02T11:00:00Z"], "s", "%Y-%m-%dT%H:%M:%SZ"),
        (["2020-01-01 10:00+02:00", "2020-01-01 10:30+01:00"], "m", "%Y-%m-%d %H:%M%z"),
        (["1/22/2020 3:04 PM", "1/2/2020 3:05 AM"], "m", "%m/%d/%Y %I:%M %p"),
        (["2020-01-01 10:00:00.250", "2020-01-02 11:00:00.500"], "ms", "%Y-%m-%d %H:%M:%S.%f"),
        (["2020-01-01", "2020-01-01 10:00", "2020-01-01T10:00:01"], "s", None),
        (["9999-12-31", "0001-01-01"], "D", "%Y-%m-%d"),
    ],
)
def test_dates_have_the_coarsest_unit_and_their_format(texts, unit, format):
    schema = Schema.infer({"c": pd.Series([*texts, *texts], dtype=object)})
    assert schema["c"] == Datetime("c", unit, format, dtype="object")
    cells = schema.parse({"c": texts})
    again = schema.parse(schema.unparse(cells))
    np.testing.assert_array_equal(again["c"].values, cells["c"].values)


def test_datetimes(rng):
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, N), "D")
    assert inferred(days.astype("datetime64[ns]")) == Datetime("c", "D", dtype="datetime64[ns]")
    minutes = days + pd.to_timedelta(rng.integers(0, 900, N), "min")
    assert inferred(minutes).unit == "m"
    zoned = minutes.tz_localize("UTC").tz_convert("Asia/Tokyo").astype("datetime64[ns, Asia/Tokyo]")
    schema = Schema.infer({"c": zoned})
    found = schema.unparse(schema.parse({"c": zoned}))["c"]
    pd.testing.assert_series_equal(found, pd.Series(zoned, name="c"))
    dates = [datetime.date(2020, 1, 1), None, datetime.date(2021, 1, 1)]
    assert inferred(dates) == Datetime("c", "D", missing=True, dtype="object")
    constant = inferred([pd.Timestamp("2020-01-01")] * 3)
    assert constant.bounds == (18262, 18262)
    assert inferred(["12:30", "12:31"] * 9).kind == "category"  # times only are names


def test_what_the_user_names_overrides_the_guess(rng):
    data = {"x": rng.integers(0, 9, N), "y": rng.random(N), "z": [20200101, 20200131] * (N // 2)}
    schema = Schema.infer(data, x="category", y=None, z="datetime")
    assert schema.names == ("x", "z")
    assert schema["x"] == Category("x", range(9), dtype="int64")
    assert schema["z"] == Datetime("z", "D", "%Y%m%d", dtype="int64")
    assert schema.unparse(schema.parse(data))["z"].tolist() == data["z"]
    forced = Schema.infer(data, x="real", y="positive", z=Integer("z"))
    assert [column.kind for column in forced] == ["real", "positive", "integer"]
    assert forced["x"].dtype is None
    mixed = Schema.infer({"m": [1, 2, "a"]}, m="category")
    assert mixed["m"].values == ("1", "2", "a")


def unique_text(n):
    return [f"id {i}" for i in range(n)]


@pytest.mark.parametrize(
    ("data", "overrides", "message"),
    [
        ({"a": [1]}, {}, "at least 2 rows to infer a schema from. Received: 1"),
        ({"a": []}, {}, "at least 2 rows to infer a schema from. Received: 0"),
        ({"a": [None, None], "b": [np.nan] * 2}, {}, r"none in \['a', 'b'\]; .*data, a=None"),
        ({"a b": [None, None]}, {}, r"Schema.infer\(data, \*\*\{'a b': None\}\)"),
        ({"a": [1.0, np.inf]}, {}, "row 1, column 'a': expected a finite number. Received: inf"),
        ({"a": [1, 2, "x", 3]}, {}, "'a': expected a number in every row.*row 2, column 'a': 'x'"),
        ({"a": [5, 2, True]}, {}, "expected a number in every row.*row 2, column 'a': True"),
        ({"a": [pd.Timestamp(0), "x"]}, {}, "expected a date in every row.*row 1.*'x'"),
        ({"a": [[1], [2]]}, {}, r"row 0, column 'a': expected text.*Received: \[1\] of .*list"),
        ({"a": pd.to_timedelta([1, 2])}, {}, "row 0, column 'a': expected text, a number"),
        ({"a": unique_text(30)}, {}, "30 different texts in 30 rows.*a=None.*a='category'"),
        ({"a": [1, 2]}, {"b": "real"}, r"\['a'\]. Received: 'b'"),
        ({"a": [1, 2]}, {"a": "rael"}, "'rael'; did you mean real"),
        ({"a": ["x", "y"]}, {"a": "real"}, "expected a number in every row.*'x'"),
        ({"a": ["x", "y"]}, {"a": "datetime"}, "expected a date in every row.*'x'"),
        ({"a": ["x", "y"]}, {"a": "ordinal"}, r"the order of its levels, by tables.Ordinal"),
        ({"a": [-1.5, 2]}, {"a": "positive"}, "'a': expected positive numbers. Received: -1.5"),
        ({"a": [-1.5, 2]}, {"a": "interval"}, r"tables.Interval\('a', low, high\)"),
        ({"a": [0.1, np.pi]}, {"a": "integer"}, "whole numbers, or numbers with a common step"),
    ],
)
def test_what_no_column_can_hold_is_refused(data, overrides, message):
    with pytest.raises(ValueError, match=message):
        Schema.infer(data, **overrides)


def test_columns_of_the_same_name_are_refused():
    with pytest.raises(ValueError, match=r"different names. Received: \['a'\] twice"):
        Schema.infer(pd.DataFrame(np.ones((3, 2)), columns=["a", "a"]))


def test_many_columns_and_many_categories(rng):
    wide = pd.DataFrame(rng.integers(0, 9, (50, 2000)))
    schema = Schema.infer(wide)
    assert len(schema) == 2000
    assert len(schema.parse(wide)) == 2000
    names = np.array(unique_text(10_000))[np.r_[0:10_000, rng.integers(0, 10_000, 30_000)]]
    schema = Schema.infer({"c": names})
    assert len(schema["c"].values) == 10_000
    cells = schema.parse({"c": names})
    assert schema.unparse(cells)["c"].tolist() == names.tolist()


@pytest.mark.skipif(not SHARED.exists(), reason="requires ../shared/data")
def test_adult():
    path = SHARED / "adult/adult.data"
    schema, table = Schema.infer(path), pd.read_csv(path)
    kinds = {column.name: column.kind for column in schema}
    integers = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hr_per_week")
    assert kinds == {
        name: "integer"
        if name in integers
        else "boolean"
        if name in ("sex", "income")
        else "category"
        for name in table
    }
    assert schema == Schema.infer(table)
    pd.testing.assert_frame_equal(schema.unparse(schema.parse(path)), table)


@pytest.mark.skipif(not SHARED.exists(), reason="requires ../shared/data")
@pytest.mark.parametrize("name", ["6_cardio", "14_glass", "29_Pima", "35_SpamBase", "46_WPBC"])
def test_every_row_of_real_tables_fits_and_comes_back(name):
    table = pd.DataFrame(np.load(SHARED / f"adbench/{name}.npz")["X"])
    schema = Schema.infer(table)
    back = schema.unparse(schema.parse(table))
    np.testing.assert_allclose(back.to_numpy("float64"), table.to_numpy(), rtol=1e-9, atol=1e-12)
