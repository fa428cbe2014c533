"""Detectors in the zoo: from a recipe to a run, a model, its numbers and its README."""

import re
import shutil

import click.testing
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from zoo_files import ALL, sign

from tfflows import zoo
from tfflows.anomaly import AnomalyDetector
from tfflows.cli.main import main
from tfflows.saving import load_model
from tfflows.zoo.detectors import standard_error

TEXT = """data:
  name: pumps
  file: pumps.npz
  source: drawn for tests
  test: 0.25
detector:
  score: nll
  false_alarm_rate: 0.1
  max_minutes: 0.02
"""
LICENCE = {"licence": "CC0", "limitations": "A second of training."}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A file of 600 normal rows and 50 anomalies, some of which are among the normal ones."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("data")
    x = np.concatenate([random.normal(size=(600, 3)), random.normal(1.5, 1.5, (50, 3))])
    order = random.permutation(650)
    y = np.repeat([0, 1], [600, 50])[order]
    np.savez(folder / "pumps.npz", X=x[order].astype("float32"), y=y)
    (folder / "pumps.yaml").write_text(TEXT)
    return folder


@pytest.fixture(scope="module")
def recipe(data_dir):
    return zoo.DetectorRecipe.read(data_dir / "pumps.yaml")


@pytest.fixture(scope="module")
def run(recipe, data_dir):
    zoo.fit_detector(recipe, data_dir / "run", data_dir)
    return data_dir / "run"


@pytest.fixture(scope="module")
def model(run, data_dir):
    zoo.save_to_zoo(run, data_dir / "detector-pumps", data_dir=data_dir, **LICENCE)
    return data_dir / "detector-pumps"


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / model.name)


def call(*arguments):
    return click.testing.CliRunner().invoke(main, [*map(str, arguments)])


def test_a_detector_is_fitted_to_some_normal_rows_and_tested_on_others(recipe, data_dir):
    train, test = recipe.rows("train", data_dir), recipe.rows("test", data_dir)
    with np.load(data_dir / "pumps.npz") as file:
        x, y = file["X"], file["y"]
    assert not train.labels.any()
    assert list(test.labels) == [False] * 150 + [True] * 50
    np.testing.assert_array_equal(test.rows[150:], x[y == 1])
    both = np.concatenate([train.rows, test.rows[:150]])
    np.testing.assert_array_equal(np.unique(both, axis=0), np.unique(x[y == 0], axis=0))


def test_a_detector_of_the_zoo_has_a_whole_card(run, model, recipe, data_dir):
    assert sorted(path.name for path in model.iterdir()) == sorted(ALL)
    card, detector = zoo.card(model), load_model(run / "detector.keras")
    rows, labels = recipe.rows("test", data_dir)
    scores = detector.score_samples(rows)
    metric, alarms = card.metric, card.metric.false_alarms
    assert (card.kind, metric.units, metric.num_examples) == ("detector", "AUROC", 200)
    assert metric.value == pytest.approx(roc_auc_score(labels, -scores), abs=1e-9)
    assert metric.value > 0.75
    assert alarms.found == (detector.predict(rows[:150]) == -1).mean()
    assert (alarms.nominal, alarms.num_examples) == (0.1, 150)
    assert (card.data.train, card.data.validation, card.data.test) == (360, 90, 200)
    assert zoo.DetectorRecipe.read(model / "recipe.yaml") == recipe
    assert card.training.epochs == len((model / "metrics.jsonl").read_text().splitlines()) > 0


def test_a_detector_loads_as_it_was_fitted(run, model, recipe, data_dir):
    found, fitted = zoo.load(model), load_model(run / "detector.keras")
    assert isinstance(found, AnomalyDetector)
    rows = recipe.rows("test", data_dir).rows
    np.testing.assert_allclose(found.score_samples(rows), fitted.score_samples(rows), rtol=1e-6)
    assert found.threshold_ == fitted.threshold_
    assert "max_minutes=0.02" in repr(found)
    with pytest.raises(ValueError, match="nothing without its weights"):
        zoo.load(model, load_weights=False)


def test_a_detector_is_verified(copy, data_dir):
    found = zoo.verify(copy, full=True, data_dir=data_dir)
    assert found.metric.value == pytest.approx(found.card.metric.value, abs=1e-6)
    assert found.fixture.found == pytest.approx(found.fixture.stored, abs=1e-6)
    metric = found.card.metric
    sign(copy, metric=metric.model_copy(update={"value": metric.value - 0.1}))
    with pytest.raises(ValueError, match=r"to reach .* AUROC within .*\. Received"):
        zoo.verify(copy, full=True, data_dir=data_dir)
    arrays = dict(np.load(copy / "fixture.npz"))
    np.savez(copy / "fixture.npz", **{**arrays, "score": arrays["score"] + 0.5})
    sign(copy, metric=metric)
    with pytest.raises(ValueError, match="other values than its card says"):
        zoo.verify(copy)


def test_the_code_of_the_readme_runs(model, recipe, data_dir):
    text = (model / "README.md").read_text()
    for part in ("3 numbers", "of 150 normal test rows abnormal, where 10% were"):
        assert part in text
    (code,) = re.findall("```python\n(.*?)```", text, flags=re.S)
    code = code.replace('"detector-pumps"', repr(str(model)))
    exec(code, {"rows": recipe.rows("test", data_dir).rows})


def test_commands_take_detectors_of_the_zoo(model, data_dir, tmp_path):
    number = f"{zoo.card(model).metric.value:.4f} +- "
    assert number in call("zoo", "card", f"{model}/").output
    result = call("zoo", "evaluate", f"{model}/", "--data-dir", data_dir)
    assert f"pumps test: {number}" in result.output
    result = call("zoo", "evaluate", f"{model}/", "--data-dir", data_dir, "--split", "train")
    assert "evaluated on its test rows" in result.output
    out = tmp_path / "scores.csv"
    data = data_dir / "pumps.npz"
    result = call("anomaly", "score", model, data, "--out", out)
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(out)) == 650
    result = call("anomaly", "score", "zoo:maf-8gaussians", data, "--out", out)
    assert "Expected a detector's .keras file, or zoo:NAME" in result.output
    command = ["zoo", "train", data_dir / "pumps.yaml", "--out", data_dir / "run"]
    result = call(*command, "--data-dir", data_dir)
    assert result.exit_code == 2
    assert "holds a detector already" in result.output
    command = ["zoo", "train", data_dir / "pumps.yaml", "--out", tmp_path / "run"]
    result = call(*command, "--data-dir", data_dir)
    assert "Wrote" in result.output
    assert (tmp_path / "run" / "detector.keras").is_file()


def test_a_detector_of_a_typed_table_travels_with_its_rows_as_text(tmp_path):
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"kind": random.choice(["étang", "mer, lac"], 80), "depth": random.gamma(2.0, 3.0, 80)}
    )
    frame["odd"] = np.arange(80) % 8 == 0
    frame.loc[frame["odd"], "depth"] += 40
    frame.astype({"odd": int}).to_csv(tmp_path / "waters.csv", index=False)
    data = {"name": "waters", "file": "waters.csv", "source": "drawn", "labels": "odd"}
    settings = {"max_minutes": 0.02, "false_alarm_rate": 0.2}
    recipe = zoo.DetectorRecipe.model_validate({"data": data, "detector": settings})
    zoo.fit_detector(recipe, tmp_path / "run", tmp_path)
    folder = tmp_path / "detector-waters"
    card = zoo.save_to_zoo(tmp_path / "run", folder, data_dir=str(tmp_path), **LICENCE)
    assert card.data.event_shape == (2,)
    assert zoo.verify(folder, True, str(tmp_path)).metric.value == pytest.approx(card.metric.value)


def test_data_sets_by_name_are_normal_and_abnormal_rows():
    data = {"name": "moons", "anomalies": "2spirals"}
    recipe = zoo.DetectorRecipe.model_validate({"data": data, "detector": {}})
    rows, labels = recipe.rows("test")
    assert 0 < labels.sum() < len(labels)
    assert rows.shape == (len(labels), 2)
    assert recipe.source().count("; anomalies: ") == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("file:", "fils:", "data.fils: no such key; did you mean file"),
        ("source: drawn for tests\n", "seed: 1\n", "a `file` with its `source`, or the data set"),
        ("test: 0.25", "test: 1", "data.test: .*Received: 1"),
        ("max_minutes: 0.02", "minutes: 1", "detector.minutes: no such key"),
    ],
)
def test_a_wrong_recipe_is_refused_by_its_key(tmp_path, old, new, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(ValueError, match=message):
        zoo.DetectorRecipe.read(path)


def test_data_that_are_not_there_are_named(recipe, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no .*pumps\.npz: .* Its source: drawn for tests"):
        recipe.rows("test", tmp_path)
    with pytest.raises(ValueError, match="Expected the split 'train' or 'test'"):
        recipe.rows("validation", tmp_path)


def test_the_standard_error_is_the_spread_of_areas():
    random, areas = np.random.default_rng(0), []
    labels = np.repeat([0, 1], [60, 40])
    for _ in range(400):
        areas.append(roc_auc_score(labels, random.exponential(1.0, 100) * (1 + 2 * labels)))
    assert standard_error(float(np.mean(areas)), 60, 40) == pytest.approx(np.std(areas), rel=0.15)
