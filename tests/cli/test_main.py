"""The command line, as a user types it: what it writes, says and returns."""

import json

import keras
import numpy as np
import pytest
from command import run
from layer_table import randomize
from marks import needs_tensorflow
from model_table import small_flow

from tfflows import load_model

pytestmark = needs_tensorflow


RECIPE = """
format: 3
name: small
data: {name: digits}
preprocessing: [{Logit: {alpha: 0.05}}]
model: {name: realnvp, arguments: {num_couplings: 2, hidden_units: [16]}}
training: {epochs: 1}
backend: {jit: false}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.yaml").write_text(RECIPE)
    run("train", folder / "small.yaml", "--set", "training.epochs=2", "--out", folder / "run")
    return folder / "run"


def test_train_writes_the_model_that_the_recipe_asks_for(trained):
    flow = keras.saving.load_model(trained / "best.keras")
    assert flow.event_shape == (8, 8, 1)
    config = flow.get_config()
    assert (config["num_couplings"], config["hidden_units"]) == (2, [16])
    assert [layer.levels for layer in flow.flow_layers if hasattr(layer, "levels")] == [17]
    assert len((trained / "metrics.jsonl").read_text().splitlines()) == 2


def test_evaluate_prints_the_held_out_numbers_and_the_baseline(trained):
    output = run("evaluate", "--model", trained, "--baseline")
    assert "digits test: log-likelihood" in output
    assert "180 rows" in output
    assert "Gaussian baseline: log-likelihood" in output


def test_evaluate_prints_json_of_any_model_and_data(trained, tmp_path):
    run("export", "--model", trained, "--out", tmp_path / "served")
    found = []
    for model in (trained / "best.keras", tmp_path / "served"):
        output = run("evaluate", "--model", model, "--data", "digits", "--json", "--draws", 1)
        found.append(json.loads(output[output.index("{") :]))
    live, served = (result["model"] for result in found)
    assert live["num_examples"] == 180
    assert live["log_likelihood"] == pytest.approx(served["log_likelihood"], rel=1e-6)
    output = run("evaluate", "--model", trained, "--json", "--draws", 8)
    assert json.loads(output[output.index("{") :])["model"]["num_draws"] == 8
    output = run(
        "evaluate", "--model", tmp_path / "served", "--data", "digits", "--draws", 8, code=1
    )
    assert "num_draws must be 1" in output


def test_score_writes_a_density_a_row(tmp_path):
    model, rows = tmp_path / "flow.keras", tmp_path / "rows.csv"
    small_flow(num_couplings=1).save(model)
    rows.write_text("a,b,c\n1,2,3\n4,5,6\n")
    arguments = ("score", "--model", model, "--in", rows, "--out", tmp_path / "scores.csv")
    assert "2 rows" in run(*arguments, "--columns", "a,c")
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 3
    assert "rows of 2 numbers" in run(*arguments, code=1)
    rows.write_text("a,b\n1,2\n4,five\n")
    assert "line 3" in run(*arguments, code=1)


def test_train_goes_on_with_a_run_when_asked(trained, recipe, tmp_path):
    again = ("train", recipe, "--set", "training.epochs=2", "--out", trained)
    assert "give --resume" in run(*again, code=2)
    run(*again, "--resume")
    assert "seed: 0, now 1" in run(*again, "--set", "seed=1", "--resume", code=1)
    new = run("train", recipe, "--out", tmp_path / "new", "--resume", "--no-report")
    assert "Best epoch" not in new
    assert (tmp_path / "new" / "best.keras").exists()


def test_guided_samples_are_those_of_the_model(tmp_path):
    from tfflows.models import TarFlow

    settings = {"patch": 2, "depth": 1, "width": 4, "num_blocks": 1, "num_heads": 2}
    conditions = {"condition_shape": (3,), "condition_dropout": 0.1}
    flow = randomize(TarFlow((4, 4, 1), **settings, **conditions), spread=0.5)
    flow.save(tmp_path / "tar.keras")
    draw = ("sample", "--model", tmp_path / "tar.keras", "--num", 5, "--seed", 2)
    run(*draw, "--label", 1, "--guidance", 2, "--out", tmp_path / "x.npy")
    x = np.load(tmp_path / "x.npy")
    np.testing.assert_array_equal(x, flow.sample(5, np.eye(3)[1:2], 2, guidance=2.0))
    assert np.abs(x - np.asarray(flow.sample(5, np.eye(3)[1:2], 2))).max() > 1
    wrote = run(*draw, "--guidance", 2, "--out", tmp_path / "x.png")
    assert "Wrote 3 samples of shape (4, 4, 1), 1 of each class" in wrote
    assert "TarFlow with noise" in run(
        *draw, "--label", 1, "--denoise", "--out", tmp_path / "x.npy", code=2
    )
    for wrong in ("-1", "inf", "nan"):
        assert "guidance" in run(*draw, "--guidance", wrong, "--out", tmp_path / "x.png", code=2)


def test_denoised_samples_are_those_of_the_model(tmp_path):
    from tfflows.models import TarFlow

    flow = randomize(TarFlow((4, 4, 1), 2, 1, 4, 1, 2, noise=0.1), spread=0.5)
    flow.save(tmp_path / "tar.keras")
    draw = ("sample", "--model", tmp_path / "tar.keras", "--num", 5, "--seed", 2)
    run(*draw, "--denoise", "--out", tmp_path / "x.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), flow.sample(5, seed=2, denoise=True))
    run(*draw, "--denoise", "--out", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_classes_have_a_row_each_in_the_pictures_of_a_run(recipe, tmp_path, monkeypatch):
    from tfflows.evaluation import plots

    run("train", recipe, "--set", "data.conditional=true", "--out", tmp_path / "run")
    drawn = []
    monkeypatch.setattr(plots, "draw_samples", lambda flow, x, *args: drawn.append((x, *args)))
    run("plot", tmp_path / "run", "--rows", 64)
    flow = load_model(tmp_path / "run")
    classes = np.repeat(np.eye(10, dtype="float32"), 10, axis=0)
    ((x, path, columns),) = drawn
    assert (path.name, columns) == ("samples.png", 10)
    np.testing.assert_array_equal(x, flow.sample(100, classes, 0))


def test_a_table_is_trained_on_by_its_columns(recipe, tmp_path):
    rows = np.random.default_rng(0).normal(size=(300, 3))
    np.savetxt(tmp_path / "t.csv", rows, delimiter=",", header="a,b,c", comments="")
    run(
        "train", recipe, "--set", "data={name: t.csv, options: {columns: [a, c]}}",
        "--data-dir", tmp_path, "--set", "preprocessing=[Standardize]",
        "--mixed-precision", "--out", tmp_path / "run",
    )  # fmt: skip
    assert "t.csv test: log-likelihood" in run("evaluate", "--model", tmp_path / "run")


def test_sample_writes_pictures_and_rows(trained, tmp_path):
    for name in ("grid.png", "rows.csv", "rows.npy"):
        assert "Wrote 9 samples" in run(
            "sample", "--model", trained, "--num", 9, "--out", tmp_path / name
        )
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
    rows = np.load(tmp_path / "rows.npy")
    assert rows.shape == (9, 8, 8, 1)
    csv = np.loadtxt(tmp_path / "rows.csv", delimiter=",")
    np.testing.assert_allclose(csv, rows.reshape(9, -1))


def test_export_and_info(trained, tmp_path):
    assert str(tmp_path / "digits" / "1") in run(
        "export", "--model", trained, "--out", tmp_path / "digits"
    )
    assert (tmp_path / "digits" / "1" / "saved_model.pb").exists()
    output = run("info", "--model", trained, "--data", "digits")
    assert "RealNVP on (8, 8, 1)" in output
    assert "scikit-learn" in output
    assert "moons" in run("info")


def test_conditional_models_are_trained_and_sampled_by_label(recipe, tmp_path):
    run("train", recipe, "--set", "data.conditional=true", "--out", tmp_path / "run")
    model = tmp_path / "run"
    run("sample", "--model", model, "--label", 3, "--out", tmp_path / "three.png")
    run("evaluate", "--model", model)
    assert "class from 0 to 9" in run(
        "sample", "--model", model, "--label", 10, "--out", tmp_path / "ten.png", code=2
    )
    text = "Wrote 20 samples of shape (8, 8, 1), 2 of each class, to"
    assert text in run("sample", "--model", model, "--num", 25, "--out", tmp_path / "all.png")
    assert "--num of at least 10" in run(
        "sample", "--model", model, "--num", 9, "--out", tmp_path / "all.png", code=2
    )
    assert "--label is missing" in run("sample", "--model", model, "--out", "x.npy", code=2)
    guided = ("sample", "--model", model, "--label", 3, "--guidance", 1, "--out", "x.npy")
    assert "learned its density with and without the condition" in run(*guided, code=2)
    half = ",".join(["0"] * 3 + ["0.5"] * 2 + ["0"] * 5)  # between two classes
    run("sample", "--model", model, "--condition", half, "--num", 3, "--out", tmp_path / "x.npy")
    assert np.load(tmp_path / "x.npy").shape == (3, 8, 8, 1)
    for wrong, message in (("1,2", "2 of them"), ("a", "Received: a")):
        arguments = ("--condition", wrong, "--out", tmp_path / "y.npy")
        assert message in run("sample", "--model", model, *arguments, code=2)


KINDS = """
format: 3
name: kinds
data: {name: kinds.csv, conditional: true, options: {label: kind}}
preprocessing: [Standardize]
model: {name: realnvp, arguments: {num_couplings: 1, hidden_units: [8]}}
optimizer: {warmup_steps: 100, ema: auto}
training: {epochs: 2, batch_size: 50}
backend: {jit: false}
"""


def write_kinds(path, names, kinds):
    """600 rows of columns "b", "a", "kind", "count" in the order of `names`."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 600)
    columns = {"a": rng.normal(size=600), "b": 50 + 5 * codes + rng.normal(size=600)}
    columns |= {"kind": [kinds[code] for code in codes], "id": [f"r{i}" for i in range(600)]}
    rows = zip(*(columns[name] for name in names), strict=True)
    lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def test_a_run_knows_its_columns_and_classes_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kinds.yaml").write_text(KINDS)
    write_kinds(tmp_path / "kinds.csv", ["a", "b", "kind"], ["cat", "dog", "eel"])
    output = run("train", "kinds.yaml", "--out", "run")
    assert "Warning: kinds: the learning rate warms up for 100 of 18 steps" in output
    assert "Best epoch 2 of 2: validation nll" in output
    assert "bits/dim" not in output
    assert "Gaussian on the same rows, without conditions: log-likelihood" in output
    assert (tmp_path / "run" / "report.json").exists()

    write_kinds(tmp_path / "other.csv", ["id", "kind", "b", "a"], ["cat", "dog", "eel"])
    options = ("--split", "all", "--json", "--data")
    same, other = (
        json.loads(run("evaluate", "--model", "run", *options, name).splitlines()[-1])["model"]
        for name in ("kinds.csv", "other.csv")
    )
    np.testing.assert_allclose(other["log_likelihood"], same["log_likelihood"], rtol=1e-6)
    arguments = ("--in", "other.csv", "--out", "scores.csv", "--keep", "id", "--top", 2)
    lines = run("score", "--model", "run", *arguments).splitlines()
    scores = [line.split(",") for line in (tmp_path / "scores.csv").read_text().splitlines()]
    assert scores[0] == ["id", "log_prob"]
    values = [float(value) for _, value in scores[1:]]
    np.testing.assert_allclose(np.mean(values), same["log_likelihood"], rtol=1e-5)
    assert lines[0].startswith(f"row {np.argmin(values) + 1}: ")
    assert f"id=r{np.argmin(values)}" in lines[0]

    write_kinds(tmp_path / "other.csv", ["a", "b", "kind"], ["dog", "eel", "fox"])
    assert "class 'fox' is not one of the training classes: cat, dog, eel" in run(
        "evaluate", "--model", "run", "--data", "other.csv", code=2
    )
    write_kinds(tmp_path / "other.csv", ["a", "kind"], ["cat", "dog", "eel"])
    assert "lacks 1 of the 2 columns" in run(
        "evaluate", "--model", "run", "--data", "other.csv", code=2
    )
    run("sample", "--model", "run", "--label", "eel", "--out", "eels.csv", "--num", 3)
    lines = (tmp_path / "eels.csv").read_text().splitlines()
    assert lines[0] == "a,b,kind"
    assert all(line.endswith(",eel") for line in lines[1:])
    run("score", "--model", "run", "--in", "eels.csv", "--out", "scores.npy")
    assert "did you mean eel" in run(
        "sample", "--model", "run", "--label", "eels", "--out", "eels.csv", code=2
    )
    run("plot", "run", "--rows", 100)
    names = {path.name for path in (tmp_path / "run" / "plots").iterdir()}
    assert names == {"curves.png", "marginals.png", "samples.png", "scores.png"}
    assert "at least one finished epoch" in run("plot", tmp_path, code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian",), "did you mean train"),
        (("film", "--model", "flow.keras"), "No such command 'film'; it is called animate now"),
        (("train",), "Missing argument 'RECIPE'"),
        (("train", "nice-mnits"), "no recipe file 'nice-mnits'; did you mean nice-mnist"),
        (("evaluate", "--model", "nowhere.keras", "--data", "moons"), "no model at nowhere.keras"),
        (("info", "--data", "mnsit"), "did you mean mnist"),
        (("info", "--data", "mnist:9.9.9"), "no dataset 'mnist:9.9.9'"),
        (("info", "--data", ""), "no dataset ''"),
    ],
)
def test_usage_errors_exit_2_and_say_what_was_wanted(arguments, message):
    assert message in " ".join(run(*arguments, code=2).split())


@pytest.mark.parametrize(
    ("setting", "code", "message"),
    [
        ("data.name=moon", 1, "did you mean moons"),
        ("model.name=realnpv", 2, "did you mean realnvp"),
        ("model.arguments.coupling=2", 2, "no such key; did you mean num_couplings"),
        ("x", 2, "KEY.KEY=VALUE"),
        ("model.arguments.num_couplings=0", 1, "num_couplings must be a positive integer"),
        ("data={name: moons, conditional: true}", 1, "no labels"),
        ("model.arguments.hidden_units=16", 2, "hidden_units: Input should be"),
    ],
)
def test_recipes_that_cannot_be_leave_nothing(recipe, tmp_path, setting, code, message):
    output = run("train", recipe, "--set", setting, "--out", tmp_path / "run", code=code)
    assert message in " ".join(output.split())
    assert list(tmp_path.iterdir()) == [recipe]


def test_samples_that_do_not_fit_the_file_are_refused(tmp_path):
    table = tmp_path / "table.keras"
    from tfflows.models import RealNVP

    RealNVP((3,), 1, (4,)).save(table)
    assert "as .csv" in run("sample", "--model", table, "--out", tmp_path / "x.png", code=2)
    assert ".png, .csv or .npy" in run("sample", "--model", table, "--out", "x.txt", code=2)
    run("sample", "--model", table, "--label", 1, "--out", tmp_path / "x.csv", code=2)
    run("evaluate", "--model", table, "--data", "moons", code=2)


def test_failures_exit_1(tmp_path):
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"not a model")
    assert "not a readable model" in run("info", "--model", broken, code=1)
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(other)
    assert "which is not a flow" in run("info", "--model", other, code=1)
    model = tmp_path / "flow.keras"
    small_flow(num_couplings=1).save(model)
    (tmp_path / "1").mkdir()
    assert "never replaced" in run("export", "--model", model, "--out", tmp_path / "1", code=1)
    run("sample", "--model", model, "--out", model / "x.csv", code=1)
