"""Models of energies in the zoo: from a recipe to a run, a model, its numbers and its README."""

import shutil

import click.testing
import numpy as np
import pytest
from keras import ops
from pages import blocks, written
from zoo_files import ALL, sign

from tfflows import energies, zoo
from tfflows.cli.main import main

RECIPE = """name: two-wells
seed: 3
target: {name: many-well, arguments: {dims: 2}, source: "for tests"}
model:
  name: realnvp
  arguments: {num_couplings: 2, hidden_units: [8]}
optimizer: {learning_rate: 1e-2, clipnorm: 10.0}
training: {epochs: 2, steps_per_epoch: 4, batch_size: 32, monitored_draws: 64}
jit: false
"""


def call(*arguments):
    return click.testing.CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("energy")
    (root / "two-wells.yaml").write_text(RECIPE)
    done = call("zoo", "train", root / "two-wells.yaml", "--out", root / "run")
    assert done.exit_code == 0, done.output
    options = ("--licence", "none needed", "--limitations", "Few steps.", "--rows", 500)
    done = call("zoo", "save", root / "run", root / "two-wells", *options)
    assert done.exit_code == 0, done.output
    return root / "two-wells"


def test_a_model_of_an_energy_is_saved_with_what_its_draws_are_worth(model):
    assert sorted(path.name for path in model.iterdir()) == sorted(ALL)
    card, flow = zoo.card(model), zoo.load(model)
    assert card.kind == "energy"
    draws = energies.importance(flow, energies.ManyWell(2), 500, seed=0, batch_size=4096)
    assert card.metric.value == pytest.approx(draws.log_z, abs=1e-4)
    assert card.metric.ess == pytest.approx(draws.ess, rel=1e-3)
    assert (card.training.epochs, card.training.seed, card.metric.num_examples) == (2, 3, 500)
    text = (model / "README.md").read_text()
    assert f"effective sample size {card.metric.ess:.1%}" in text
    assert "target = energies.ManyWell(dims=2)" in text
    with np.load(model / "fixture.npz") as fixture:
        found = ops.convert_to_numpy(flow.log_prob(fixture["x"]))
        np.testing.assert_allclose(found, fixture["log_prob"], atol=1e-3)


def test_it_is_verified_by_new_draws(model, tmp_path):
    found = zoo.verify(model, full=True)
    assert found.metric is not None
    assert found.metric.ess == pytest.approx(found.card.metric.ess, rel=1e-3)
    done = call("zoo", "verify", f"{model}/", "--full")
    assert "log Z" in done.output, done.output
    copy = shutil.copytree(model, tmp_path / model.name)
    wrong = found.card.metric.model_copy(update={"ess": min(1.0, found.card.metric.ess + 0.1)})
    sign(copy, metric=wrong)
    with pytest.raises(ValueError, match=r"two-wells to have ess .* within 0\.02\. Received: 0\."):
        zoo.verify(copy, full=True)
    done = call("zoo", "evaluate", f"{model}/")
    assert done.output.count("log Z") == 2
    done = call("zoo", "evaluate", f"{model}/", "--split", "train")
    assert "An energy has draws of the flow, no splits" in done.output


def test_the_printed_recipe_is_one(tmp_path):
    page = written()["docs/recipes.md"]
    (block,) = (b for b in blocks(page) if b.language == "yaml" and "target:" in b.code)
    (tmp_path / "recipe.yaml").write_text(block.code)
    recipe = zoo.EnergyRecipe.read(tmp_path / "recipe.yaml")
    assert recipe.make_target().log_z == pytest.approx(164.6957, abs=1e-4)
    assert recipe.make_flow((32,)).count_params() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("many-well", "many-wells"), r"target\.name: there is no 'many-wells'; .*many-well"),
        (("dims: 2", "sides: 2"), r"target\.arguments\.sides: no such key"),
        (("batch_size: 32", "objective: fap"), r"training\.objective: .*'fab'.*Received: 'fap'"),
        (("jit: false", "jit: maybe"), r"jit: .*Received: 'maybe'"),
    ],
)
def test_a_wrong_key_of_a_recipe_is_named(tmp_path, change, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace(*change))
    with pytest.raises(ValueError, match=message):
        zoo.EnergyRecipe.read(path)
