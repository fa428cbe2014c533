"""Files of version 0.1 load, and are what they were."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import tfflows
from tfflows import zoo
from tfflows.datasets import DatasetInfo
from tfflows.runs import read_recipe
from tfflows.runs.build import make_flow

FOLDER = Path(__file__).parent / "data" / "version_0_1"
NAMES = sorted(path.stem for path in FOLDER.glob("*.keras"))
ZOO = sorted(path.parent for path in zoo.RECIPES.parent.glob("*/config.json"))
TABLES = [folder for folder in ZOO if zoo.card(folder).kind == "table"]
ENERGIES = [folder for folder in ZOO if zoo.card(folder).kind == "energy"]
DETECTORS = [folder for folder in ZOO if zoo.card(folder).kind == "detector"]
# Of fields, by their solver; of networks in bfloat16, by their rounding.
TOLERANCES = {"float64": 1e-9, "ffjord": 1e-3, "ffjord_field": 1e-3, "field": 1e-3, "mixed": 0.1}
COMPILED = {"ffjord", "nice", "realnvp"}


@pytest.fixture(scope="module")
def saved():
    with np.load(FOLDER / "densities.npz") as arrays:
        return dict(arrays)


def meaning(flow):
    """What a model is, without what a process counts up and what rounding it has."""
    lines = []
    flow.summary(print_fn=lines.append)
    parts = [*flow.flow_layers, flow.base]
    return lines, [(type(part), _without_names(part.get_config())) for part in parts]


def _without_names(value):
    if isinstance(value, dict):
        skipped = ("name", "dtype", "build_config", "shared_object_id", "module")
        return {k: _without_names(v) for k, v in value.items() if k not in skipped}
    return [_without_names(each) for each in value] if isinstance(value, list) else value


def test_every_file_has_its_density(saved):
    assert {key.split("/")[0] for key in saved} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_the_densities_that_it_had(name, saved):
    path = FOLDER / f"{name}.keras"
    flow = keras.saving.load_model(path)
    assert flow.compiled == (name in COMPILED)
    log_prob = flow.log_prob(saved[f"{name}/x"], saved.get(f"{name}/condition"))
    tolerance = TOLERANCES.get(name, 1e-4)
    wanted = saved[f"{name}/log_prob"]
    np.testing.assert_allclose(ops.convert_to_numpy(log_prob), wanted, tolerance, tolerance)
    again = tfflows.load_model(path)
    assert meaning(again) == meaning(flow)
    for weight, same in zip(flow.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize("run", ["run", "run_whole"])
def test_a_run_has_its_model_and_its_optimizer(run):
    flow = keras.saving.load_model(FOLDER / run / "last.keras")
    assert flow.compiled
    assert int(flow.optimizer.iterations) > 0
    assert len(flow.optimizer.variables) > len(flow.trainable_variables)
    info = DatasetInfo("digits", "train", (8, 8, 1), 17, 10, 10, "")
    made = make_flow(read_recipe(FOLDER / run / "recipe.yaml"), info)
    assert meaning(made) == meaning(flow)


@pytest.mark.parametrize(
    "folder", [f for f in ZOO if zoo.card(f).kind == "flow"], ids=lambda folder: folder.name
)
def test_a_zoo_model_is_what_its_recipe_says(folder):
    flow = zoo.load(folder, load_weights=False)
    data = zoo.card(folder).data
    info = DatasetInfo(
        data.name, "train", data.event_shape, data.levels, data.classes, data.train, ""
    )
    made = make_flow(read_recipe(folder / "recipe.yaml"), info)
    assert meaning(made) == meaning(flow)
    assert [w.shape for w in made.weights] == [w.shape for w in flow.weights]


@pytest.mark.parametrize("folder", ENERGIES, ids=lambda folder: folder.name)
def test_a_zoo_model_of_an_energy_is_what_its_recipe_says(folder):
    flow = zoo.load(folder, load_weights=False)
    recipe = zoo.EnergyRecipe.read(folder / "recipe.yaml")
    made = recipe.make_flow(recipe.make_target().event_shape)
    assert meaning(made) == meaning(flow)
    assert flow.event_shape == zoo.card(folder).data.event_shape


@pytest.mark.parametrize("folder", TABLES, ids=lambda folder: folder.name)
def test_a_zoo_model_of_a_table_is_what_its_recipe_says(folder):
    flow = zoo.load(folder, load_weights=False)
    recipe = zoo.TableRecipe.read(folder / "recipe.yaml")
    assert flow.schema == recipe.schema
    config, fit = flow.get_config(), recipe.fit
    for name in ("width", "num_blocks", "num_components", "dropout", "order"):
        assert config[name] == getattr(fit, name)
    assert zoo.card(folder).data.columns == {c.name: c.kind for c in recipe.schema}


@pytest.mark.parametrize("folder", DETECTORS, ids=lambda folder: folder.name)
def test_a_detector_of_the_zoo_is_what_its_recipe_says(folder):
    detector = zoo.load(folder)
    wanted = zoo.DetectorRecipe.read(folder / "recipe.yaml").detector.model_dump()
    assert wanted.pop("score") == "auto"
    found = {name: getattr(detector, name) for name in wanted}
    assert found == wanted
    assert detector.score_name_ == "smallest_p_value"
