"""Densities and draws of a TableFlow against enumeration, quadrature and its own conditionals."""

import itertools

import keras
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tfflows import tables
from tfflows.tables import Boolean, Category, Integer, Interval, Ordinal, Positive, Real
from tfflows.tables.table_flow import TableFlow


def randomised(schema, data, scale=0.7, **settings):
    """A small flow whose weights are far from independent columns."""
    flow = TableFlow(schema, width=16, num_blocks=1, num_components=3, **settings)
    flow.adapt(data)
    random = np.random.default_rng(3)
    for weight in flow.trainable_weights:
        weight.assign_add(scale * random.normal(size=weight.shape).astype("float32"))
    return flow


SMALL = tables.Schema(
    [
        Category("c", ("x", "y", "z"), missing=True),
        Integer("k", low=-1, high=4),
        Boolean("b", ("no", "yes")),
        Ordinal("o", ("low", "mid", "high")),
    ]
)


def every_row():
    """All rows that SMALL allows, as a table."""
    values = ["x", "y", "z", None], range(-1, 5), ["no", "yes"], ["low", "mid", "high"]
    return pd.DataFrame(list(itertools.product(*values)), columns=list(SMALL.names))


@pytest.fixture(scope="module")
def small():
    return randomised(SMALL, every_row().sample(60, random_state=0))


@pytest.mark.parametrize("num_orders", [1, 3])
def test_masses_of_all_rows_sum_to_one(small, num_orders):
    log_prob = small.log_prob(every_row(), num_orders=num_orders)
    assert log_prob.std() > 0.5  # the weights are not those of a uniform table
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, atol=1e-5)


def test_conditionals_of_one_order_are_those_by_enumeration():
    rows = every_row()
    order = ["k", "o", "c", "b"]
    flow = randomised(SMALL, rows.sample(60, random_state=0), order=order)
    mass = np.exp(flow.log_prob(rows).astype("float64"))
    total = pd.Series(mass).groupby([rows["k"], rows["o"]]).transform("sum").to_numpy()
    np.testing.assert_allclose(
        np.exp(flow.log_prob(rows, given=["o", "k"])), mass / total, rtol=2e-4
    )


def test_one_order_refuses_to_condition_on_late_columns():
    rows = every_row()
    flow = randomised(SMALL, rows, order=["k", "o", "c", "b"])
    with pytest.raises(ValueError, match=r"'c' given without those before it"):
        flow.log_prob(rows, given=["c"])


def test_a_set_per_row_gives_the_conditionals_of_each(small):
    rows = every_row()
    given = np.zeros((len(rows), 4), bool)
    given[::2, [0, 2]] = True
    mixed = small.log_prob_of_cells(rows, given)
    np.testing.assert_allclose(mixed[::2], small.log_prob(rows, given=["c", "b"])[::2], atol=1e-5)
    np.testing.assert_allclose(mixed[1::2], small.log_prob(rows)[1::2], atol=1e-5)


def test_draws_have_the_masses_of_log_prob(small):
    rows = every_row()
    drawn = small.sample(40_000, seed=1)
    chi_square_test(small, drawn, rows, np.exp(small.log_prob(rows).astype("float64")), 40_000)


def test_draws_of_an_ensemble_have_its_masses(small):
    rows = every_row()
    drawn = small.sample(40_000, seed=2, num_orders=3)
    mass = np.exp(small.log_prob(rows, num_orders=3).astype("float64"))
    chi_square_test(small, drawn, rows, mass, 40_000)


def test_draws_given_columns_have_the_conditional_masses(small):
    rows = every_row()
    rows = rows[(rows["c"] == "y") & (rows["k"] == 2)]
    drawn = small.sample(20_000, given={"c": "y", "k": 2}, seed=3)
    assert set(drawn["c"]) == {"y"}
    assert set(drawn["k"]) == {2}
    mass = np.exp(small.log_prob(rows, given=["c", "k"]).astype("float64"))
    chi_square_test(small, drawn, rows, mass, 20_000)


def chi_square_test(flow, drawn, rows, mass, count):
    """Frequencies of drawn rows against masses that sum to one."""

    def key(frame):
        frame = frame.astype(object)
        return frame.where(frame.notna(), "missing").astype(str).agg("|".join, axis=1)

    counts = key(drawn).value_counts().reindex(key(rows), fill_value=0).to_numpy()
    assert counts.sum() == count
    order = np.argsort(mass)
    # Cells in which few are expected are counted together.
    few = order[np.cumsum(mass[order]) * count < 10]
    many = np.setdiff1d(order, few)
    observed = np.append(counts[many], counts[few].sum())
    expected = np.append(mass[many], mass[few].sum()) * count
    kept = expected > 0
    p = stats.chisquare(observed[kept], expected[kept] * count / expected[kept].sum()).pvalue
    assert p > 1e-4


def test_imputed_cells_have_the_conditional_masses(small):
    holes = pd.DataFrame({"c": ["x"], "k": [pd.NA], "b": ["yes"], "o": [None]})
    drawn = small.impute(holes, 20_000, seed=4)
    assert set(drawn["c"]) == {"x"}
    assert not drawn.isna().any().any()
    rows = every_row()
    rows = rows[(rows["c"] == "x") & (rows["b"] == "yes")]
    mass = np.exp(small.log_prob(rows, given=["c", "b"]).astype("float64"))
    chi_square_test(small, drawn, rows, mass, 20_000)


def test_imputed_cells_are_never_missing(small):
    rows = every_row()
    rows = rows[rows["c"].isna()]
    likely = np.argmax(small.log_prob(rows, given=["k", "b", "o"]))
    holes = rows.iloc[[likely] * 500]
    assert (
        small.sample(500, given=holes[["k", "b", "o"]].to_dict("list"), seed=0)["c"].isna()
    ).any()
    filled = small.impute(holes, seed=0)
    assert set(filled["c"]) <= {"x", "y", "z"}
    assert (filled[["k", "b", "o"]].to_numpy() == holes[["k", "b", "o"]].to_numpy()).all()


NUMBERS = tables.Schema(
    [
        Real("r", atoms=(0.0,), missing=True),
        Positive("p"),
        Interval("i", 2, 5),
        Integer("n", low=0),
    ]
)


def numbers(count, seed=0):
    random = np.random.default_rng(seed)
    r = np.where(random.random(count) < 0.2, 0.0, random.normal(3, 2, count))
    r[random.random(count) < 0.1] = np.nan
    p, i = random.lognormal(0, 1.5, count), 2 + 3 * random.beta(0.7, 0.9, count)
    return pd.DataFrame({"r": r, "p": p, "i": i, "n": random.poisson(2 + p.clip(0, 9))})


@pytest.fixture(scope="module")
def numeric():
    return randomised(NUMBERS, numbers(1500), scale=0.3)


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("r", np.linspace(-60, 60, 60_001)),
        ("p", np.exp(np.linspace(-30, 30, 60_001))),
        ("i", 2 + 3 / (1 + np.exp(-np.linspace(-40, 40, 60_001)))),
    ],
)
def test_density_of_a_real_column_integrates_to_what_is_left(numeric, name, grid):
    """Over its own units; atoms and "missing" have the rest."""
    grid = grid[np.append(True, np.diff(grid) > 0)]
    grid = grid[(grid > 2) & (grid < 5)] if name == "i" else grid
    rows = pd.concat([numbers(1, seed=7).fillna(1.5)] * len(grid), ignore_index=True)
    others = [other for other in NUMBERS.names if other != name]
    rows[name] = grid
    density = np.exp(numeric.log_prob(rows[~np.isin(grid, [0.0])], given=others).astype("float64"))
    total = np.trapezoid(density, grid[~np.isin(grid, [0.0])])
    if name == "r":
        ends = rows[:2].assign(r=[0.0, np.nan])
        masses = np.exp(numeric.log_prob(ends, given=others))
        assert (masses > 0.005).all()
        total += masses.sum()
    np.testing.assert_allclose(total, 1, atol=1e-3)


def test_masses_of_a_count_sum_to_one(numeric):
    rows = pd.concat([numbers(1, seed=8).fillna(1.5)] * 400, ignore_index=True)
    rows["n"] = np.arange(400)
    mass = np.exp(numeric.log_prob(rows, given=["r", "p", "i"]).astype("float64"))
    assert mass.max() < 0.9
    np.testing.assert_allclose(mass.sum(), 1, atol=1e-4)


def test_samples_stay_in_the_support_and_have_the_density(numeric):
    drawn = numeric.sample(20_000, seed=5)
    assert (drawn["p"] > 0).all()
    assert drawn["i"].between(2, 5, inclusive="neither").all()
    assert (drawn["n"] >= 0).all()
    assert drawn["n"].dtype == "int64"
    # Probability integral transform of the first column of the chain, beside its atoms.
    r = drawn["r"].to_numpy()
    grid = np.linspace(-60, 60, 20_001)
    rows = pd.DataFrame({"r": grid[grid != 0], "p": 1.0, "i": 3.0, "n": 1})
    log_rest = numeric.log_prob(rows, given=["r"])
    density = np.exp(numeric.log_prob(rows).astype("float64") - log_rest)
    share = np.isfinite(r) & (r != 0)
    cumulative = np.cumsum(density) / density.sum()
    assert abs(share.mean() - np.trapezoid(density, rows["r"])) < 0.015
    place = np.interp(r[share], rows["r"], cumulative)
    assert stats.kstest(place, "uniform").pvalue > 1e-4


def test_whole_numbers_beyond_float32_come_back(tmp_path):
    days = (
        pd.date_range("1990-01-01", "2024-12-31", periods=3000)
        .floor("s")
        .to_series(index=range(3000))
    )
    schema = tables.Schema([tables.Datetime("t", "s"), Integer("big", low=0)])
    frame = pd.DataFrame({"t": days, "big": 10**12 + np.arange(3000) * 7919})
    flow = TableFlow(schema, width=8, num_blocks=1)
    flow.adapt(frame)
    encoded = flow.encoder.encode(schema.parse(frame))
    cells = flow.encoder.decode(encoded.codes, encoded.numbers[:, :, 0])
    seconds = frame["t"].astype("datetime64[s]").astype("int64").to_numpy()
    assert np.abs(cells["t"].values - seconds).max() < 600  # float32 of 35 years
    drawn = flow.sample(500, seed=0)
    assert drawn["t"].is_unique
    assert drawn["t"].dt.year.between(1980, 2035).all()
    assert np.isfinite(flow.log_prob(frame)).all()


def test_training_lowers_the_nll_and_keeps_it_in_files(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=2000)
    frame = pd.DataFrame(
        {"x": x, "y": x + 0.1 * random.normal(size=2000), "c": np.where(x > 0, "a", "b")}
    )
    schema = tables.Schema([Real("x"), Real("y"), Category("c", ("a", "b"))])
    keras.utils.set_random_seed(0)
    flow = TableFlow(schema, width=32, num_blocks=1)
    flow.compile(keras.optimizers.Adam(5e-3))
    flow.adapt(frame)
    before = -flow.log_prob(frame).mean()
    flow.fit(frame, epochs=8, batch_size=200, verbose=0)
    after = -flow.log_prob(frame).mean()
    assert after < before - 1.0
    flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    expected = flow.log_prob(frame[:50])
    np.testing.assert_allclose(loaded.log_prob(frame[:50]), expected, atol=1e-5)
    pd.testing.assert_frame_equal(loaded.sample(20, seed=1), flow.sample(20, seed=1))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cc": "x"}, "'cc'; did you mean c"),
        ({"c": "w"}, "'w'"),
        ({"k": 7}, "7"),
        ({"k": [1, 2]}, "one per row, 5"),
    ],
)
def test_wrong_givens_are_refused(small, given, said):
    with pytest.raises(ValueError, match=said):
        small.sample(5, given=given)


def test_an_unfitted_flow_says_what_to_do():
    with pytest.raises(ValueError, match="call fit"):
        TableFlow(SMALL).log_prob(every_row())


def test_the_loss_of_random_sets_is_the_mean_over_orders(small):
    rows = every_row().sample(40, random_state=1)
    encoded = small.encoder.encode(small.schema.parse(rows))
    many = {
        "codes": np.tile(encoded.codes, (500, 1)),
        "numbers": np.tile(encoded.numbers, (500, 1, 1)),
    }
    losses = keras.ops.convert_to_numpy(small(many, training=True))
    estimate, error = losses.mean(), losses.std() / len(losses) ** 0.5
    exact = [
        -small.network.log_terms(*encoded, np.zeros((40, 4), "float32"), np.array(order))
        for order in itertools.permutations(range(4))
    ]
    expected = np.mean([keras.ops.convert_to_numpy(keras.ops.sum(e, axis=1)) for e in exact])
    assert error < 0.1
    assert abs(estimate - expected) < 4 * error
