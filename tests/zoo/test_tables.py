"""Models of tables in the zoo: from a recipe to a run, a model, its numbers and its README."""

import re
import shutil

import click.testing
import numpy as np
import pandas as pd
import pytest
from zoo_files import ALL, sign

from tfflows import tables, zoo
from tfflows.cli.main import main
from tfflows.runs.table_run import TableRun
from tfflows.saving import load_model
from tfflows.tables.splitting import train_validation_test
from tfflows.zoo.model_card import Data, read_card
from tfflows.zoo.table_recipe import TableData, TableFit

SOURCE = "drawn for tests"


def frame(rows=300):
    random = np.random.default_rng(0)
    kind = random.choice(["étang", "mer, lac", "ru"], rows, p=[0.5, 0.3, 0.2])
    days = pd.to_timedelta(random.integers(0, 999, rows), "D")
    return pd.DataFrame(
        {
            "kind": kind,
            "depth": np.where(kind == "ru", 0.0, random.gamma(2.0, 3.0, rows).round(6)),
            "fish": pd.array(np.where(random.random(rows) < 0.2, None, random.poisson(3, rows))),
            "seen": (pd.Timestamp("2020-02-27") + days).strftime("%Y-%m-%d"),
        }
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    frame().to_csv(folder / "waters.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def recipe(data_dir):
    return zoo.TableRecipe(
        TableData(name="waters", file="waters.csv", source=SOURCE, seed=3),
        TableFit(max_steps=20, width=8, num_blocks=1, num_components=2, batch_size=32),
        tables.Schema.infer(data_dir / "waters.csv"),
    )


@pytest.fixture(scope="module")
def run(recipe, data_dir):
    zoo.train_table(recipe, data_dir / "run", data_dir)
    return data_dir / "run"


@pytest.fixture(scope="module")
def model(run, data_dir):
    folder = run.parent / "table-waters"
    zoo.save_to_zoo(run, folder, licence="CC0", limitations="Few steps.", data_dir=data_dir)
    return folder


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / model.name)


def call(*arguments):
    return click.testing.CliRunner().invoke(main, [*map(str, arguments)])


def test_a_table_model_is_saved_with_all_that_is_known_of_it(run, model, data_dir):
    assert sorted(path.name for path in model.iterdir()) == sorted(ALL)
    card, flow = zoo.card(model), TableRun(run).flow()
    table = pd.read_csv(data_dir / "waters.csv")
    _, _, test = train_validation_test(table, seed=3)
    values = flow.log_prob(test).astype("float64")
    assert card.metric.value == pytest.approx(values.mean(), rel=1e-6)
    assert card.metric.standard_error == pytest.approx(values.std() / np.sqrt(30), rel=1e-6)
    assert (card.metric.units, card.metric.num_examples, card.family) == ("nats", 30, "table")
    data = card.data
    assert (data.train, data.validation, data.test, data.event_shape) == (240, 30, 30, (4,))
    kinds = {"kind": "category", "depth": "positive", "fish": "integer", "seen": "datetime"}
    assert data.columns == kinds
    assert card.parameters == flow.count_params()
    assert card.training.epochs == len((model / "metrics.jsonl").read_text().splitlines())
    assert (model / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_trains_on_the_training_rows_as_the_recipe_says(run, recipe, data_dir):
    train, _, _ = train_validation_test(pd.read_csv(data_dir / "waters.csv"), seed=3)
    found = pd.read_parquet(run / "train.parquet")
    assert list(found["depth"]) == list(train["depth"])
    assert list(found["fish"].isna()) == list(train["fish"].isna())
    facts = TableRun(run).facts()
    settings = {"seed": facts["seed"], "validation": facts["validation"], **facts["settings"]}
    assert settings == recipe.fit.model_dump(exclude_none=True)
    assert TableRun(run).flow().get_config()["width"] == 8


def test_a_table_model_loads_as_it_was_trained(run, model):
    flow = zoo.load(model)
    assert not flow.compiled
    trained, rows = TableRun(run).flow(), frame(50)
    np.testing.assert_allclose(flow.log_prob(rows), trained.log_prob(rows), rtol=1e-6)
    np.testing.assert_array_equal(load_model(model).log_prob(rows), flow.log_prob(rows))
    untrained = zoo.load(model, load_weights=False)
    assert untrained.get_config() == flow.get_config()
    assert np.abs(untrained.log_prob(rows) - flow.log_prob(rows)).max() > 0.01


def test_a_table_model_is_verified(copy, data_dir):
    found = zoo.verify(copy, full=True, data_dir=data_dir)
    assert found.metric.value == pytest.approx(found.card.metric.value, rel=1e-6)
    assert found.fixture.found == pytest.approx(found.fixture.stored, rel=1e-6)
    with pytest.raises(FileNotFoundError, match=rf"no .*waters\.csv: .* Its source: {SOURCE}"):
        zoo.verify(copy, full=True, data_dir=copy)
    metric = found.card.metric
    value = metric.value + 1.1 * metric.standard_error
    sign(copy, metric=metric.model_copy(update={"value": value}))
    with pytest.raises(ValueError, match=r"to reach .* nats within .*\. Received"):
        zoo.verify(copy, full=True, data_dir=data_dir)
    flow = zoo.load(copy)
    for weight in flow.trainable_weights:
        weight.assign_add(np.full(weight.shape, 0.3))
    flow.save_weights(copy / "model.weights.h5")
    sign(copy, metric=metric)
    with pytest.raises(ValueError, match="has other values than its card says"):
        zoo.verify(copy)


def test_a_fixture_without_rows_is_refused(copy):
    np.savez(copy / "fixture.npz", log_prob=np.zeros(3))
    sign(copy)
    with pytest.raises(ValueError, match=r"Expected rows and log_prob\. Received: \['log_prob'\]"):
        zoo.verify(copy)
    np.savez(copy / "fixture.npz", rows=np.frombuffer(b"kind\nsea\n", "uint8"), log_prob=[0.0])
    sign(copy)
    with pytest.raises(ValueError, match="depth"):
        zoo.verify(copy)


def test_the_code_of_the_readme_runs(model, capsys):
    text = (model / "README.md").read_text()
    assert text == zoo.model_readme(read_card(model))
    for part in ("4 columns (1 category, 1 positive, 1 integer, 1 datetime)", "on 30 test rows"):
        assert part in text
    (code,) = re.findall("```python\n(.*?)```", text, flags=re.S)
    names = {}
    exec(code.replace('"table-waters"', repr(str(model))), names)
    assert list(names["like_it"]["kind"]) == list(names["rows"]["kind"])
    assert len(names["filled"]) == len(names["log_p"]) == 16
    assert not names["filled"]["seen"].isna().any()


def test_commands_take_table_models(model, recipe, data_dir, tmp_path):
    card = zoo.card(model)
    number = f"{card.metric.value:.3f} +- {2 * card.metric.standard_error:.3f} nats"
    result = call("zoo", "card", f"{model}/")
    assert number in result.output
    result = call("zoo", "evaluate", f"{model}/", "--data-dir", data_dir)
    assert result.output == f"waters test: {number}\ncard, test: {number}\n"
    recipe.write(tmp_path / "small.yaml")
    command = ["zoo", "train", tmp_path / "small.yaml", "--out", tmp_path / "run"]
    result = call(*command, "--data-dir", tmp_path)
    assert result.exit_code == 1
    assert "There is no" in result.output
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.doc").write_text("")
    result = call(*command, "--data-dir", data_dir)
    assert result.exit_code == 2
    assert "which holds thesis.doc" in result.output


def test_flows_over_arrays_are_trained_by_their_own_command():
    result = call("zoo", "train", "maf-8gaussians")
    assert result.exit_code == 2
    assert f"tfflows train {zoo.find('maf-8gaussians') / 'recipe.yaml'}" in result.output


def test_a_recipe_is_a_schema_too_and_comes_back_as_it_was(recipe, tmp_path):
    recipe.write(tmp_path / "recipe.yaml")
    assert zoo.TableRecipe.read(tmp_path / "recipe.yaml") == recipe
    assert tables.Schema.from_yaml(tmp_path / "recipe.yaml") == recipe.schema


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("file:", "fils:", "data.fils: no such key; did you mean file"),
        ("max_steps: 20", "max_steps: 0", "fit.max_steps: .*Received: 0"),
        ("kind: category", "kind: categori", "recipe.yaml.*categor"),
        ("columns:", "column:", "columns: is missing"),
    ],
)
def test_a_wrong_recipe_is_refused_by_its_key(recipe, tmp_path, old, new, message):
    path = tmp_path / "recipe.yaml"
    recipe.write(path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        zoo.TableRecipe.read(path)


def test_arrays_in_a_file_are_a_table_of_some_of_its_rows(tmp_path):
    x = np.random.default_rng(1).integers(0, 99, (200, 2))
    np.savez(tmp_path / "numbers.npz", X=x, y=np.zeros(200))
    schema = tables.Schema.infer({"x0": x[:, 0], "x1": x[:, 1]})
    data = TableData(name="numbers", file="numbers.npz", source=SOURCE, max_rows=50)
    recipe = zoo.TableRecipe(data, TableFit(), schema)
    rows = np.sort(np.random.default_rng(0).permutation(200)[:50])
    parts = train_validation_test(pd.DataFrame(x[rows], columns=["x0", "x1"]))
    for split, part in zip(("train", "validation", "test"), parts, strict=True):
        cells = recipe.cells(split, tmp_path)
        np.testing.assert_array_equal(cells["x1"].values, part["x1"])
    np.savez(tmp_path / "numbers.npz", Y=x)
    with pytest.raises(ValueError, match=r"an array X of shape \(rows, columns\)\. Received: {'Y'"):
        recipe.cells("test", tmp_path)


def test_cards_of_arrays_are_written_as_before():
    facts = {"name": "a", "source": "b", "licence": "c", "preprocessing": "none"}
    counts = {"train": 1, "validation": 1, "test": 1}
    data = Data(event_shape=(2,), levels=None, classes=None, **facts, **counts)
    assert "columns" not in data.model_dump_json()
    assert (
        '"columns":{"x":"real"}'
        in data.model_copy(update={"columns": {"x": "real"}}).model_dump_json()
    )
