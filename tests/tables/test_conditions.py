"""Conditions as text, and draws that satisfy them against enumeration."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tfflows import tables
from tfflows.tables.conditional_draws import ConditionalDraws
from tfflows.tables.conditions import parse_conditions

SCHEMA = tables.Schema(
    [
        tables.Integer("age", low=0, missing=True),
        tables.Integer("age:group", low=0),
        tables.Integer("price", low=0, step=0.1),
        tables.Real("x"),
        tables.Interval("share", 0, 1, atoms=[0]),
        tables.Ordinal("size", ("S", "M", "L")),
        tables.Boolean("b", ("no", "yes")),
        tables.Category("c", ("a", "nan"), missing=True),
        tables.Datetime("day"),
        tables.Datetime("second", "s"),
        tables.Datetime("us", "D", "%m/%d/%Y"),
    ]
)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("age:30..40", 30, 40),
        ("age:29.5..40.5", 30, 40),
        ("age:30..", 30, np.inf),
        ("age:..30", -np.inf, 30),
        ("age:group:3..4", 3, 4),
        ("price:0.3..0.7", 3, 7),
        ("x:-2.5..-1e-3", -2.5, -0.001),
        ("share:-1..0", -1, 0),
        ("size:S..M", 0, 1),
        ("day:1970-01-02..1970-01-31", 1, 30),
        ("day:1970-01..1970-01", 0, 30),
        ("second:1970-01-01..1970-01-01", 0, 86399),
        ("second:1970-01-01T00:01..1970-01-01T00:01:30", 60, 90),
        ("day:1970-01-01T12..1970-01-03T12", 1, 2),
        ("us:01/02/1970..1970-02", 1, 58),
    ],
)
def test_ranges_are_in_the_units_of_cells(text, low, high):
    conditions = parse_conditions(SCHEMA, [text])
    (found,) = conditions.ranges.values()
    assert (found.low, found.high) == (low, high)
    assert not conditions.given


def test_values_are_cells_of_their_columns():
    given = parse_conditions(SCHEMA, ["age=", "age:group=3", "c=nan", "b=yes", "price=0.3"]).given
    assert given["age"].missing.all()
    assert not given["c"].missing.any()
    codes = {name: int(cells.values[0]) for name, cells in given.items()}
    assert codes == {"age": 0, "age:group": 3, "c": 1, "b": 1, "price": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("b=maybe", "'maybe'"),
        ("share=2", r"share=2: expected a number in \(0, 1\)"),
        ("share:2..3", "without a probability"),
        ("share:1..2", "without a probability"),
        ("x:2..2", "without a probability"),
        ("age:-5..-1", "without a probability"),
        ("age:..", "at least one end"),
        ("age:1..2..3", "at least one end"),
        ("size:S..XL", "levels S, M, L. Received: 'XL'"),
        ("day:2024-02-30..", "a date as ISO 8601. Received: '2024-02-30'"),
        ("us:2024..13/01/2024", "a date as %m/%d/%Y or ISO 8601"),
        ("x:nan..1", "expected a number"),
        ("price:0.31..0.39", "from low to high"),
    ],
)
def test_wrong_conditions_name_themselves(text, said):
    with pytest.raises(ValueError, match=said):
        parse_conditions(SCHEMA, [text])


SMALL = tables.Schema(
    [
        tables.Category("c", ("x", "y", "z"), missing=True),
        tables.Integer("k", low=0, high=5),
        tables.Ordinal("o", ("low", "mid", "high"), missing=True),
    ]
)


def every_row():
    values = ["x", "y", "z", None], range(6), ["low", "mid", "high", None]
    return pd.DataFrame(list(itertools.product(*values)), columns=list(SMALL.names))


@pytest.mark.parametrize("order", ["random", ["o", "c", "k"]])
def test_draws_have_the_conditional_masses_of_their_order(order):
    """By enumeration, where the columns with ranges are not the first ones of the schema."""
    flow = tables.TableFlow(SMALL, width=16, num_blocks=1, order=order)
    flow.adapt(every_row())
    random = np.random.default_rng(1)
    for weight in flow.trainable_weights:
        weight.assign_add(0.8 * random.normal(size=weight.shape).astype("float32"))
    draws = ConditionalDraws(flow, parse_conditions(SMALL, ["k:1..3", "o:mid.."]), seed=2)
    drawn = draws.sample(4000)
    rows = every_row()
    rows = rows[rows["k"].between(1, 3) & rows["o"].isin(["mid", "high"])]
    # p(k, o), in the order of the schema, times p(c | k, o).
    if order == "random":
        rest = flow.log_prob(rows, given=["k", "o"]).astype("float64")
        mass = np.exp(log_joint_of_k_and_o(flow, rows) + rest)
    else:
        mass = np.exp(flow.log_prob(rows).astype("float64"))
    assert abs(draws.acceptance - mass.sum()) < 5 * np.sqrt(0.25 / draws.num_drawn)
    keys = rows.map(str).agg("|".join, axis=1)
    counts = drawn.map(str).agg("|".join, axis=1).value_counts()
    assert set(counts.index) <= set(keys)
    observed = counts.reindex(keys, fill_value=0).to_numpy()
    expected = mass / mass.sum() * 4000
    assert expected.max() > 2 * expected.min()
    assert stats.chisquare(observed, expected).pvalue > 1e-4
    again = ConditionalDraws(flow, parse_conditions(SMALL, ["k:1..3", "o:mid.."]), seed=2)
    pd.testing.assert_frame_equal(again.sample(4000), drawn)


def log_joint_of_k_and_o(flow, rows):
    """log p(k) + log p(o | k), from the tensors of the flow."""
    encoded = flow.fitted_encoder.encode(SMALL.parse(rows))
    terms = flow.network.log_terms(
        encoded.codes, encoded.numbers, np.zeros(encoded.codes.shape, "float32"),
        np.array([1, 2, 0], "int32"),
    )  # fmt: skip
    return np.asarray(terms, "float64")[:, 1:].sum(axis=1)


def test_ranges_without_a_probability_are_given_up():
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=200)})
    flow = tables.TableFlow(tables.Schema([tables.Real("x")]), width=8, num_blocks=1)
    flow.adapt(frame)
    draws = ConditionalDraws(flow, parse_conditions(flow.schema, ["x:1e6.."]), 0, max_draws=20_000)
    with pytest.raises(ValueError, match="none of 20,480 draws in them"):
        draws.sample(1)
