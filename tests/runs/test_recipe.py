"""Recipes: what is read, what is refused and how it is said, and what is built from them."""

import keras
import numpy as np
import pytest

from tfflows import zoo
from tfflows.datasets import DatasetInfo
from tfflows.runs import recipe as recipes

GOOD = """
name: small
data: {name: moons}
model: {name: realnvp, arguments: {num_couplings: 2, hidden_units: [8]}}
training: {epochs: 2}
"""
TABLE = DatasetInfo("moons", "train", (2,), None, None, 10, "")


def read(tmp_path, text=GOOD, settings=()):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return recipes.read_recipe(path, settings)


def test_a_written_recipe_is_read_as_the_same(tmp_path):
    recipe = read(tmp_path, settings=["optimizer.learning_rate=1e-2", "preprocessing.logit=0.1"])
    assert recipe.optimizer.learning_rate == 0.01
    recipe.write(tmp_path / "again.yaml")
    again = recipes.read_recipe(tmp_path / "again.yaml")
    assert again == recipe
    assert again.preprocessing.model_fields_set == {"logit"}


@pytest.mark.parametrize("path", sorted(zoo.RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_recipes_of_the_package_can_be_read(path):
    assert recipes.read_recipe(path).name == path.stem


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimizer.learnign_rate=1", "optimizer.learnign_rate: no such key; did you mean learn"),
        ("optimiser.name=adam", "optimiser: no such key; did you mean optimizer"),
        ("optimizer.name=adan", "optimizer.name: .*'adam'.*Received: 'adan'"),
        ("optimizer.learning_rate=0", "optimizer.learning_rate: .*greater than 0. Received: 0"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate: .*number. Received: 'fast'"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate: .*finite number"),
        ("optimizer.ema=1.0", "optimizer.ema: .*less than 1"),
        ("optimizer.arguments.beta=0.9", "optimizer.arguments.beta: no such key; did you mean be"),
        ("optimizer.arguments.beta_1=x", "optimizer.arguments.beta_1: .*x"),
        ("training.epochs=2.5", r"training.epochs: .*integer. Received: 2\.5"),
        ("training.epochs=true", "training.epochs: .*integer. Received: True"),
        ("training.batch_size=0", "training.batch_size: .*1. Received: 0"),
        ("data.name=3", "data.name: .*string. Received: 3"),
        ("model.name=realnpv", "model.name: there is no 'realnpv'; did you mean realnvp"),
        ("model.arguments.coupling=2", "model.arguments.coupling: no such key; did you mean num"),
        ("model.arguments.num_couplings=two", "model.arguments.num_couplings: .*integer.*'two'"),
        ("model.arguments.hidden_units=[8, wide]", "model.arguments.hidden_units.1: .*integer"),
        ("model.arguments.levels=256", "model.arguments.levels: no such key"),
        ("base.name=normal", "base.name: there is no 'normal'; did you mean"),
        ("base.name=standard-normal", ""),
        ("preprocessing.logit=0.7", "preprocessing.logit: .*0.5. Received: 0.7"),
        ("backend.strategy=mirrored", "backend: XLA does not compile under a strategy"),
        ("format=2", "format 1. Received: 2, of a newer version; update tfflows"),
        ("name=a/b", "name: .*a/b"),
        ("name.first=a", "name is a value and has no keys"),
        ("name", "KEY.KEY=VALUE"),
        ("name=[", "no YAML"),
    ],
)
def test_wrong_keys_and_values_are_refused_by_their_path(tmp_path, setting, message):
    if not message:
        assert read(tmp_path, settings=[setting])
        return
    with pytest.raises(ValueError, match=message):
        read(tmp_path, settings=[setting])


def test_all_wrong_keys_are_named_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"data: is missing\n.*epochs: .*\n.*lines: no such key"):
        read(tmp_path, "name: x\nmodel: {name: nice}\ntraining: {epochs: 0}\nlines: 1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "no YAML file"),
        ("- a", "wants keys such as data"),
        ("", "wants keys such as data"),
        (GOOD + "name: twice", "no YAML file.*\n.*\n.*duplicate key"),
    ],
)
def test_files_that_are_no_recipes_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read(tmp_path, text)


def test_what_the_model_refuses_names_the_recipe_and_the_model(tmp_path):
    recipe = read(tmp_path, settings=["model.arguments.partition=thirds"])
    with pytest.raises(ValueError, match=r"small: model: partition must be one of.*'thirds'$"):
        recipes.make_flow(recipe, TABLE)


def test_the_model_has_what_the_recipe_says(tmp_path):
    settings = [
        "preprocessing.standardize=true", "backend.mixed_precision=true",
        "base={name: mixture-of-gaussians, arguments: {num_components: 3}}",
    ]  # fmt: skip
    flow = recipes.make_flow(read(tmp_path, settings=settings), TABLE)
    assert flow.get_config()["standardize"] is True
    assert flow.base.num_components == 3
    assert flow.dtype_policy.name == "mixed_bfloat16"


def rates(tmp_path, *settings):
    optimizer = recipes.make_optimizer(read(tmp_path, settings=settings), total_steps=100)
    rate = optimizer._learning_rate
    if not callable(rate):
        return [float(rate)] * 3
    return [float(rate(step)) for step in (0, 10, 100)]


def test_schedules_start_peak_and_end_where_they_should(tmp_path):
    peak, warm = "optimizer.learning_rate=0.5", "optimizer.warmup_steps=10"
    constant, final = "optimizer.schedule=constant", "optimizer.final_fraction=0.1"
    np.testing.assert_allclose(rates(tmp_path, peak, constant), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(rates(tmp_path, peak, constant, warm), [0, 0.5, 0.5])
    np.testing.assert_allclose(rates(tmp_path, peak, warm), [0, 0.5, 0], atol=1e-8)
    np.testing.assert_allclose(rates(tmp_path, peak, warm, final), [0, 0.5, 0.05], rtol=1e-6)
    middle = 0.25 * (1 + np.cos(np.pi / 10))
    np.testing.assert_allclose(rates(tmp_path, peak), [0.5, middle, 0], atol=1e-7)


def test_the_optimizer_has_what_the_recipe_says(tmp_path):
    settings = ["optimizer.name=sgd", "optimizer.clipnorm=2", "optimizer.ema=0.9"]
    settings += ["optimizer.arguments.momentum=0.8", "optimizer.weight_decay=0.01"]
    optimizer = recipes.make_optimizer(read(tmp_path, settings=settings), 10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.clipnorm, optimizer.ema_momentum, optimizer.momentum) == (2, 0.9, 0.8)
    assert optimizer.weight_decay == 0.01
