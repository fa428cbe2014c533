"""Columns of numbers as the condition of a flow."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tfflows import datasets


@pytest.fixture(params=["csv", "parquet", "npy", "npz"])
def table(request, tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
    path = tmp_path / f"data.{request.param}"
    if request.param == "csv":
        np.savetxt(path, x, "%.9g", ",", header="a,b,c,d", comments="")
    elif request.param == "parquet":
        pa.parquet.write_table(pa.table(dict(zip("abcd", x.T, strict=True))), path)
    elif request.param == "npy":
        np.save(path, x)
    else:
        np.savez(path, x)
    return path, x


def test_every_reader_gives_the_same_conditions(table):
    path, x = table
    (got, condition), info = datasets.load_arrays(path, "all", condition=[3, 1])
    np.testing.assert_array_equal(got, x[:, [0, 2]])
    assert condition.dtype == "float32"
    np.testing.assert_array_equal(condition, x[:, [3, 1]])
    names = "abcd" if path.suffix in (".csv", ".parquet") else "0123"
    assert info.condition_columns == (names[3], names[1])
    assert (info.condition_shape, info.num_classes, info.event_shape) == ((2,), None, (2,))
    rows, _ = datasets.load_rows(path, "test", condition=[3, 1])
    chosen = np.sort(np.random.default_rng(0).permutation(200)[20:40])
    np.testing.assert_array_equal(rows.condition, x[chosen][:, [3, 1]])
    np.testing.assert_array_equal(np.asarray(rows.x), x[chosen][:, [0, 2]])
    stream, _ = datasets.load(path, "test", condition=[3, 1])
    batch = next(stream.batch(100).as_numpy_iterator())
    np.testing.assert_array_equal(batch["x"], x[chosen][:, [0, 2]])
    np.testing.assert_array_equal(batch["condition"], x[chosen][:, [3, 1]])
    alone, _ = datasets.load_rows_by_options(str(path), "all", False, None, {"condition": [3, 1]})
    assert alone.condition is None
    np.testing.assert_array_equal(np.asarray(alone.x), x[:, [0, 2]])


def test_what_cannot_be_a_condition_is_refused(table):
    path, _ = table
    with pytest.raises(ValueError, match=r"takes label= or condition="):
        datasets.load(path, condition=[0], label=1)
    with pytest.raises(ValueError, match=r"is both condition and data"):
        datasets.load(path, condition=[0], columns=[0, 1])
    with pytest.raises(ValueError, match=r"no columns of numbers beside"):
        datasets.load(path, condition=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"condition must name every column once"):
        datasets.load(path, condition=[0, 0])
    with pytest.raises(ValueError, match=r"no labels to condition on; a file takes label= or con"):
        datasets.load(path, condition=True)


def test_conditions_of_a_split_in_its_own_file(tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("a,c,b\n1,2,3\n4,5,7\n")
    (tmp_path / "test.csv").write_text("c,b,a\n20,30,10\n")
    options = {"condition": ["c"], "test": str(tmp_path / "test.csv"), "validation": 0}
    (x, condition), _ = datasets.load_arrays(tmp_path / "train.csv", "test", **options)
    np.testing.assert_array_equal(x, [[10, 30]])
    np.testing.assert_array_equal(condition, [[20]])


def test_a_recipe_makes_a_flow_of_them(tmp_path):
    from tfflows import runs
    from tfflows.runs.build import make_flow
    from tfflows.runs.data import RunData

    np.savetxt(
        tmp_path / "t.csv",
        np.random.default_rng(0).normal(size=(50, 4)),
        "%.9g",
        ",",
        header="a,b,c,d",
        comments="",
    )
    recipe = runs.make_recipe(
        {
            "format": 2,
            "name": "small",
            "data": {
                "name": str(tmp_path / "t.csv"),
                "conditional": True,
                "options": {"condition": ["d", "a"], "validation": 0.2},
            },
            "model": {"name": "realnvp", "arguments": {"num_couplings": 2, "hidden_units": [8]}},
            "training": {"epochs": 1},
        }
    )
    data = RunData.load(recipe)
    flow = make_flow(recipe, data.info)
    assert (flow.event_shape, flow.condition_shape) == ((2,), (2,))
    log_p = flow.log_prob(data.validation.x, data.validation.condition)
    assert np.isfinite(np.asarray(log_p)).all()
