"""The commands of tables, as a user types them: what they write, say and refuse."""

import json

import numpy as np
import pandas as pd
import pytest
from command import run

COLUMNS = ["age", "sex", "joined", "size", "income"]


def people(count, seed=0):
    """An integer with holes, two categories, a date and a real number that hang together."""
    random = np.random.default_rng(seed)
    sex = random.choice(["Female", "Male"], count)
    age = random.integers(18, 80, count)
    size = np.where(sex == "Male", 178.0, 165.0) + random.normal(0, 6.123456, count)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 366, count), "D")
    income = np.where(age + random.normal(0, 9, count) > 50, "high", "low")
    frame = pd.DataFrame({"id": np.arange(count) + 7000, "age": age, "sex": sex})
    frame["age"] = frame["age"].astype("Int64").mask(random.random(count) < 0.1)
    return frame.assign(joined=days.strftime("%Y-%m-%d"), size=size, income=income)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """(folder, what `fit` said): a data file and a run on it."""
    folder = tmp_path_factory.mktemp("table")
    people(250).to_csv(folder / "people.csv", index=False)
    arguments = ("--exclude", "id", "--max-steps", 20, "--seed", 3, "--no-report")
    said = run("table", "fit", folder / "people.csv", "--out", folder / "run", *arguments)
    return folder, said


def test_fit_writes_the_model_the_schema_and_the_curve(fitted):
    folder, said = fitted
    assert "5 columns, 1 integer, 2 boolean, 1 datetime, 1 real" in said
    assert "epoch 1: nll" in said
    names = {path.name for path in (folder / "run").iterdir()}
    assert names == {"model.keras", "schema.yaml", "run.json", "metrics.jsonl"}
    epochs = [json.loads(line) for line in (folder / "run/metrics.jsonl").open()]
    best = min(epochs, key=lambda epoch: epoch["val_nll"])
    assert f"Best epoch {best['epoch']}: held-out nll {best['val_nll']:.4f}" in said


def test_fit_mixes_no_results(fitted, tmp_path):
    folder, _ = fitted
    again = ("table", "fit", folder / "people.csv", "--out")
    assert "holds a run already" in run(*again, folder / "run", code=2)
    (tmp_path / "notes.txt").write_text("mine")
    assert "which holds notes.txt" in run(*again, tmp_path, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_schema_is_written_edited_and_used(fitted, tmp_path):
    folder, _ = fitted
    printed = run("table", "schema", folder / "people.csv", "--exclude", "id,size")
    assert "joined:\n    kind: datetime" in printed
    assert "size:" not in printed
    path = tmp_path / "schema.yaml"
    run("table", "schema", folder / "people.csv", "--out", path)
    path.write_text(path.read_text().replace("kind: real", "kind: integer"))
    wrong = run("table", "fit", folder / "people.csv", "--schema", path, "--out", tmp_path / "r",
                code=1)  # fmt: skip
    assert "column 'size': expected a whole number" in wrong
    path.write_text(path.read_text().replace("kind: integer", "kind: intger"))
    wrong = run("table", "fit", folder / "people.csv", "--schema", path, "--out", tmp_path / "r",
                code=1)  # fmt: skip
    assert "did you mean integer" in wrong
    assert not (tmp_path / "r").exists()


def test_score_writes_the_densities_of_the_flow_in_order(fitted, tmp_path):
    from tfflows.runs.table_run import read_table_flow

    folder, _ = fitted
    out = tmp_path / "scores.csv"
    said = run("table", "score", folder / "run", folder / "people.csv", "--out", out,
               "--keep", "id,age", "--top", 2)  # fmt: skip
    assert "250 rows" in said
    scores = pd.read_csv(out)
    flow = read_table_flow(folder / "run")
    expected = flow.log_prob(folder / "people.csv")
    np.testing.assert_allclose(scores["log_prob"], expected, rtol=1e-5)
    np.testing.assert_array_equal(scores["id"], np.arange(250) + 7000)
    worst = int(np.argmin(expected))
    assert f"row {worst}: {expected[worst]:.4f}  id={worst + 7000}" in said
    out = tmp_path / "scores.parquet"
    run("table", "score", folder / "run", folder / "people.csv", "--out", out,
        "--given", "sex,age", "--orders", 2)  # fmt: skip
    expected = flow.log_prob(folder / "people.csv", given=["age", "sex"], num_orders=2)
    np.testing.assert_allclose(pd.read_parquet(out)["log_prob"], expected, rtol=1e-5)


def test_sample_draws_rows_that_satisfy_the_conditions(fitted, tmp_path):
    folder, _ = fitted
    out = tmp_path / "rows.parquet"
    said = run("table", "sample", folder / "run", "-n", 200, "--out", out, "--seed", 5,
               "--where", "sex=Female", "--where", "age:30..40", "--where", "joined:2024-03..",
               "--where", "size:..168.5")  # fmt: skip
    assert "% of" in said
    rows = pd.read_parquet(out)
    assert list(rows) == COLUMNS
    assert len(rows) == 200
    assert set(rows["sex"]) == {"Female"}
    assert rows["age"].between(30, 40).all()
    assert rows["joined"].min() >= "2024-03-01"
    assert rows["size"].max() <= 168.5
    again = tmp_path / "rows.csv"
    run("table", "sample", folder / "run", "-n", 5, "--out", again, "--where", "age=")
    assert pd.read_csv(again)["age"].isna().all()


def test_impute_fills_the_holes_and_leaves_the_rest(fitted, tmp_path):
    folder, _ = fitted
    holes = people(30, seed=1)
    holes.loc[::3, "sex"] = None
    holes.loc[1::3, ["joined", "size"]] = None
    holes.to_csv(tmp_path / "holes.csv", index=False)
    out = tmp_path / "filled.csv"
    said = run("table", "impute", folder / "run", tmp_path / "holes.csv", "--out", out)
    assert f"{holes.isna().sum().sum()} cells filled" in said
    filled = pd.read_csv(out)
    assert list(filled) == list(holes)
    assert not filled.isna().any().any()
    for name in holes:
        there = holes[name].notna()
        assert (filled[name][there].astype(str) == holes[name][there].astype(str)).all()
    run("table", "impute", folder / "run", tmp_path / "holes.csv", "--out", out, "--draws", 3)
    drawn = pd.read_csv(out)
    assert drawn["row"].tolist() == np.repeat(np.arange(30), 3).tolist()
    assert drawn["draw"].tolist() == [1, 2, 3] * 30
    assert drawn["id"].tolist() == np.repeat(holes["id"], 3).tolist()
    assert (drawn.groupby("row")["size"].nunique() == np.where(holes["size"].isna(), 3, 1)).all()


def test_report_evaluates_the_rows_that_were_held_out(fitted):
    from tfflows.runs.table_run import read_table_flow
    from tfflows.tables.fitting import held_out_rows

    folder, _ = fitted
    said = run("table", "report", folder / "run")
    is_held_out = held_out_rows(250, 0.1, seed=3)
    frame = people(250)[is_held_out]
    nll = -read_table_flow(folder / "run").log_prob(frame).astype("float64").mean()
    assert f"nll {nll:.4f} nats per row on {is_held_out.sum()} rows" in said
    assert "<!doctype html>" in (folder / "run/report.html").read_text()
    people(40, seed=9).to_csv(folder / "new.csv", index=False)
    out = folder / "new.html"
    assert "on 40 rows" in run("table", "report", folder / "run", folder / "new.csv", "--out", out)
    data = (folder / "people.csv").read_bytes()
    (folder / "people.csv").write_bytes(data + b"7250,30,Male,2024-01-01,170.5,low\n")
    try:
        assert "has changed since" in run("table", "report", folder / "run", code=1)
    finally:
        (folder / "people.csv").write_bytes(data)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("score", "--given", "sexx"), "Received: 'sexx'; did you mean sex"),
        (("score", "--out", "scores.txt"), "--out must be a .csv or .parquet file"),
        (("sample", "--where", "age"), "Expected COLUMN=VALUE or COLUMN:LOW..HIGH. Received"),
        (("sample", "--where", "agee:30..40"), "did you mean age?"),
        (("sample", "--where", "sex=Femal"), "did you mean Female?"),
        (("sample", "--where", "sex:A..B"), "a boolean has no order"),
        (("sample", "--where", "age:40..30"), "from low to high"),
        (("sample", "--where", "age:30..x"), "expected a number. Received: 'x'"),
        (("sample", "--where", "joined:2024-13..", ), "expected a date"),
        (("sample", "--where", "age=30", "--where", "age:30..40"), "one condition on column 'age'"),
        (("fit", "--exclude", "idd"), "Received: 'idd'; did you mean id?"),
        (("fit", "--order", "age,sex"), "every column once. Received: not id, income, joined"),
        (("fit", "--validation", "1.5"), "1.5 is not in the range"),
        (("report", "--out", "report.pdf"), "--out must be an .html file"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(fitted, tmp_path, arguments, said):
    folder, _ = fitted
    command, *options = arguments
    data = {"score": [folder / "run", folder / "people.csv"], "fit": [folder / "people.csv"]}
    default = [] if "--out" in options else ["--out", tmp_path / "out.csv"]
    given = data.get(command, [folder / "run"])
    assert said in " ".join(run("table", command, *given, *default, *options, code=2).split())
    assert list(tmp_path.iterdir()) == []


ROW = "7000,30,Male,2024-05-01,170.25,low"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (ROW.replace("Male", "male?"), "line 3, column 'sex': expected one of the 2 values"),
        (ROW.replace("30", "thirty"), "line 3, column 'age': expected"),
        (ROW.replace("30", "30.5"), "line 3, column 'age': expected a whole number"),
        (ROW.replace("2024-05-01", "2024-05-32"), "line 3, column 'joined': expected a date"),
        (ROW.replace("170.25", "inf"), "line 3, column 'size': expected a finite number"),
        (ROW.replace("low", ""), "line 3, column 'income': expected a value. Received: a missing"),
        (ROW + ",more", "line 3: expected 6 values"),
    ],
)
def test_rows_outside_the_schema_are_refused_by_their_place(fitted, tmp_path, cells, said):
    folder, _ = fitted
    path = tmp_path / "rows.csv"
    path.write_text(f"id,{','.join(COLUMNS)}\n{ROW}\n{cells}\n")
    out = tmp_path / "scores.csv"
    assert said in run("table", "score", folder / "run", path, "--out", out, code=1)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "at least 2 rows"),
        ("a,b\n" + "1,x\n2,y\n" * 3, "at least 10 rows. Received: 6"),
        ("a,b\n" + "1,\n2,\n" * 10, "Expected every column to have a value"),
        ("a,a\n" + "1,2\n" * 10, "several columns of the same name: ['a']"),
        ("a,b\n" + "1,2\n" * 10 + "1,inf\n", "column 'b'"),
        ("a,b\n" + "".join(f"{i % 9},{i}\n" for i in range(60)) + "1,oops\n", "line 62"),
        ("1,2\n" * 10, "names of columns in the first line"),
        ("", "names of columns in the first line"),
    ],
)
def test_tables_that_cannot_be_fitted_are_refused(tmp_path, text, said):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    assert said in run("table", "fit", path, "--out", tmp_path / "run", code=1)
    assert not (tmp_path / "run").exists()


def test_a_file_or_a_run_that_is_not_there_is_named(tmp_path):
    (tmp_path / "adult.csv").write_text("a\n1\n2\n")
    assert "did you mean adult.csv?" in run("table", "schema", tmp_path / "adlt.csv", code=1)
    missing = run("table", "sample", tmp_path / "run", "--out", tmp_path / "x.csv", code=2)
    assert "There is no table's model" in missing
    assert "table fit" in run("table", "report", tmp_path, code=2)
