"""Models of the zoo: what is in one, and that a model that is not what its card says is refused."""

import json
import shutil
import types
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import ops
from keras.src.saving.serialization_lib import SafeModeScope
from layer_table import randomize
from model_table import small_flow
from PIL import Image
from zoo_files import ALL, log_prob, sign

import tfflows
from tfflows import datasets, zoo
from tfflows.datasets import Rows
from tfflows.datasets.sets.bsds_patches import patch_images
from tfflows.evaluation.evaluation import evaluate
from tfflows.runs.recipe import make_recipe, read_recipe
from tfflows.runs.run import run_recipe
from tfflows.saving import load_model
from tfflows.zoo import model_card, pictures
from tfflows.zoo.half_precision import round_weights
from tfflows.zoo.model_card import read_card

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results" / "zoo.md"


@pytest.fixture
def results_table(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import results_table

    return results_table


@pytest.fixture
def copy(zoo_model, tmp_path):
    return shutil.copytree(zoo_model, tmp_path / zoo_model.name)


def test_a_model_is_saved_with_all_that_is_known_of_it(zoo_run, zoo_model):
    assert sorted(path.name for path in zoo_model.iterdir()) == sorted(ALL)
    card = zoo.card(zoo_model)
    rows, _ = datasets.load_arrays("digits", "test", condition=True)
    expected = evaluate(load_model(zoo_run), [{"x": rows[0], "condition": rows[1]}])
    assert card.metric.units == "bits/dim"
    assert card.metric.value == pytest.approx(expected.bits_per_dim, rel=1e-6)
    per_dim = expected.standard_error / (64 * np.log(2))
    assert card.metric.standard_error == pytest.approx(per_dim, rel=1e-4)
    assert (card.metric.num_examples, card.metric.num_draws) == (180, 1)
    data = card.data
    assert (data.train, data.validation, data.test, data.classes) == (1437, 180, 180, 10)
    assert data.preprocessing == "dequantized from 17 levels, logit of margin 0.05"
    assert (card.training.epochs, card.training.seed) == (2, 0)
    assert card.training.versions["keras"] == keras.__version__
    assert card.parameters == load_model(zoo_run).count_params()
    with h5py.File(zoo_model / "model.weights.h5") as file:
        assert "optimizer" not in file
    recipe = read_recipe(zoo_model / "recipe.yaml")
    assert recipe.data.dir is None  # which is of the machine, and not of the recipe
    assert recipe.model == read_recipe(zoo_run / "recipe.yaml").model
    readme = (zoo_model / "README.md").read_text()
    assert f"{card.metric.value:.3f} +- " in readme
    for text in ("1.5 bits/dim (Somebody", "CC BY 4.0", "Two epochs.", "one_hot"):
        assert text in readme
    assert (zoo_model / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_a_model_loads_as_it_was_trained(zoo_run, zoo_model):
    flow = zoo.load(zoo_model)
    assert not flow.compiled
    np.testing.assert_allclose(log_prob(flow), log_prob(load_model(zoo_run)), rtol=1e-6)
    untrained = zoo.load(zoo_model, load_weights=False)
    assert untrained.get_config() == flow.get_config()
    assert np.abs(log_prob(untrained) - log_prob(flow)).max() > 1
    by_keras = keras.saving.load_model(zoo_model)  # a model directory of Keras' own
    np.testing.assert_allclose(log_prob(by_keras), log_prob(flow), rtol=1e-6)


def test_verify_computes_the_metric_anew(zoo_model):
    found = zoo.verify(zoo_model, full=True)
    assert found.metric.value == pytest.approx(found.card.metric.value, rel=1e-6)
    assert found.metric.num_examples == 180
    assert found.fixture.found == pytest.approx(found.fixture.stored, rel=1e-6)
    assert found.fixture.row_difference < 1e-2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (1e-2, "has other values than its card says"),
        (np.nan, r"model\.weights\.h5: Expected finite weights\. Received: NaN or inf in .*bias"),
    ],
)
def test_verify_refuses_other_weights_even_where_the_hashes_fit(copy, change, message):
    flow = zoo.load(copy)
    flow.trainable_weights[-1].assign_add(np.full(flow.trainable_weights[-1].shape, change))
    flow.save_weights(copy / "model.weights.h5")
    sign(copy)
    with pytest.raises(ValueError, match=message):
        zoo.verify(copy)


def test_full_verification_refuses_a_metric_off_by_more_than_its_standard_error(copy):
    metric = read_card(copy).metric
    for factor in (0.9, -0.9):
        value = metric.value + factor * metric.standard_error
        sign(copy, metric=metric.model_copy(update={"value": value}))
        zoo.verify(copy, full=True)
    value = metric.value + 1.1 * metric.standard_error
    sign(copy, metric=metric.model_copy(update={"value": value}))
    zoo.verify(copy)
    with pytest.raises(ValueError, match=r"to reach .* bits/dim within .*\. Received"):
        zoo.verify(copy, full=True)
    sign(copy, metric=metric.model_copy(update={"num_examples": 181}))
    with pytest.raises(ValueError, match=r"181 rows\. Received: 180"):
        zoo.verify(copy, full=True)
    sign(copy, metric=metric, data=read_card(copy).data.model_copy(update={"test": 181}))
    with pytest.raises(ValueError, match=r"to have 181 test rows\. Received: 180"):
        zoo.verify(copy, full=True)
    sign(copy, metric=metric, parameters=7)
    with pytest.raises(ValueError, match="to have 7 parameters"):
        zoo.verify(copy)


def test_a_model_may_be_measured_on_fewer_rows(zoo_run, tmp_path):
    card = zoo.save_to_zoo(
        zoo_run, tmp_path / "few", licence="none", limitations="none", num_rows=50
    )
    assert (card.metric.num_examples, card.data.test) == (50, 180)
    assert "on 50 of 180 test rows" in (tmp_path / "few" / "README.md").read_text()
    assert zoo.verify(tmp_path / "few", full=True).metric.num_examples == 50


def test_weights_in_half_precision_take_half_and_load_as_they_were_measured(
    zoo_run, zoo_model, tmp_path
):
    folder = tmp_path / "half"
    card = zoo.save_to_zoo(zoo_run, folder, licence="none", limitations="none", half=True)
    with h5py.File(folder / "model.weights.h5") as file:
        dtypes = []
        file.visititems(lambda _, item: dtypes.append(getattr(item, "dtype", None)))
    assert "float16" in dtypes
    assert "float32" not in dtypes
    flow, whole = zoo.load(folder), zoo.load(zoo_model)
    pairs = [*zip(flow.variables, whole.variables, strict=True)]
    for variable, original in pairs:
        assert variable.dtype == original.dtype
        if variable.dtype == "float32":
            expected = ops.convert_to_numpy(original).astype("float16").astype("float32")
            np.testing.assert_array_equal(ops.convert_to_numpy(variable), expected)
    assert card.metric.value == pytest.approx(zoo.card(zoo_model).metric.value, rel=1e-2)
    zoo.verify(folder, full=True)
    weight = whole.trainable_variables[0]
    weight.assign(ops.full(weight.shape, 1e5))
    with pytest.raises(ValueError, match=r"at most 65,504\. Received: larger"):
        round_weights(whole)


def test_a_model_of_points_is_measured_in_nats(tmp_path):
    recipe = {
        "name": "moons",
        "data": {"name": "moons"},
        "model": {"name": "nice", "arguments": {"num_couplings": 2, "hidden_units": [8]}},
        "training": {"epochs": 1, "steps_per_epoch": 3, "batch_size": 100},
        "backend": {"jit": False},
    }
    run_recipe(make_recipe(recipe), tmp_path / "run", verbose=0)
    folder = tmp_path / "nice-moons"
    card = zoo.save_to_zoo(
        tmp_path / "run", folder, licence="none", limitations="Tiny.", machine="one H100"
    )
    flow, (x, _) = zoo.load(folder), datasets.load_arrays("moons", "test")
    values = ops.convert_to_numpy(flow.log_prob(x)).astype("float64")
    assert card.metric.value == pytest.approx(values.mean(), rel=1e-6)
    assert card.metric.standard_error == pytest.approx(values.std() / np.sqrt(50_000), rel=1e-3)
    assert (card.metric.units, card.published, card.training.machine) == ("nats", None, "one H100")
    assert "Published" not in (folder / "README.md").read_text()
    zoo.verify(folder)


@pytest.mark.parametrize("name", ALL)
def test_a_flipped_byte_in_any_file_is_refused(copy, name):
    whole = (copy / name).read_bytes()
    for position in {0, 7, len(whole) // 2, len(whole) - 1}:
        changed = bytearray(whole)
        changed[position] ^= 1
        (copy / name).write_bytes(changed)
        for use in (zoo.load, zoo.card, zoo.verify):
            with pytest.raises(ValueError, match=name):
                use(copy)


def test_a_flip_of_any_byte_of_a_card_is_seen(copy):
    path = copy / "card.json"
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 7 if whole[position] == ord("\n") else 1  # a carriage return of it
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"card\.json"):
            read_card(copy)


def test_truncated_and_missing_files_are_refused(copy):
    weights = copy / "model.weights.h5"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(
        ValueError, match=rf"model.weights.h5 .*Expected: {len(whole):,} bytes.*1,000"
    ):
        zoo.load(copy)
    weights.unlink()
    with pytest.raises(ValueError, match=r"model\.weights\.h5 is missing"):
        zoo.load(copy)
    (copy / "card.json").unlink()
    with pytest.raises(ValueError, match=r"not a model of a zoo: it has no card\.json"):
        zoo.load(copy)
    with pytest.raises(ValueError, match=r"not a model of a zoo: it has no card\.json"):
        zoo.load(copy.parent)
    with pytest.raises(FileNotFoundError, match="There is no model of a zoo at"):
        zoo.load(copy / "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.pop("metric"), "metric: is missing"),
        (lambda card: card["metric"].pop("standard_error"), "metric.standard_error: is missing"),
        (lambda card: card["metric"].update(value="good"), "metric.value: .*Received: 'good'"),
        (lambda card: card.update(metrics={}), "metrics: no such key; did you mean metric"),
        (lambda card: card["files"].pop("fixture.npz"), "files: A model has the files"),
        (lambda card: card["files"].update({"../x": card["files"]["config.json"]}), "files: A mod"),
        (lambda card: card.update(format=2), "of a newer version; update tfflows"),
        (lambda card: card.pop("sha256"), "has changed"),
    ],
)
def test_a_card_that_lacks_something_is_refused_by_name(copy, change, message):
    path = copy / "card.json"
    card = json.loads(path.read_text())
    change(card)
    text = json.dumps(card)
    if "sha256" in card:  # signed as well
        text = text.replace(card["sha256"], "0" * 64)
        text = text.replace("0" * 64, model_card._hash_of(text))
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        zoo.load(copy)


def test_safe_mode_stays_on_whatever_the_process_has_set(copy):
    code = keras.layers.Lambda(lambda x: x)
    (copy / "config.json").write_text(json.dumps(keras.saving.serialize_keras_object(code)))
    sign(copy)
    with SafeModeScope(None):  # gives back what was set before
        keras.config.enable_unsafe_deserialization()
        with pytest.raises(ValueError, match=r"config: Expected classes of tfflows.*Lambda"):
            zoo.load(copy)
    dense = keras.layers.Dense(2)
    (copy / "config.json").write_text(json.dumps(keras.saving.serialize_keras_object(dense)))
    sign(copy)
    with pytest.raises(ValueError, match="holds a Dense, which is not a flow"):
        zoo.load(copy)


def test_pickles_in_a_fixture_are_refused(copy):
    rows = np.asarray([{"a": 1}], dtype=object)
    np.savez(copy / "fixture.npz", x=rows, log_prob=rows)
    sign(copy)
    with pytest.raises(ValueError, match="allow_pickle"):
        zoo.verify(copy)


def test_a_fixture_that_is_none_is_refused(copy):
    path = copy / "fixture.npz"
    np.savez_compressed(path, x=np.zeros(2**25), log_prob=np.zeros(3))
    sign(copy)
    with pytest.raises(ValueError, match=r"fixture\.npz: Expected x\.npy of at most"):
        zoo.verify(copy)
    np.savez(path, x=np.zeros(3))
    sign(copy)
    with pytest.raises(ValueError, match=r"Expected x and log_prob\. Received: \['x'\]"):
        zoo.verify(copy)
    path.write_bytes(b"no archive")
    sign(copy)
    with pytest.raises(ValueError, match=r"fixture\.npz is not a readable fixture"):
        zoo.verify(copy)


def test_the_models_of_the_zoo_are_small_and_say_what_their_cards_say():
    folders = [path for path in sorted((ROOT / "zoo").iterdir()) if zoo.is_model(path)]
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 70e6
    for folder in folders:
        card = zoo.card(folder)
        assert card.name == folder.name
        assert (folder / "README.md").read_text() == zoo.model_readme(card)


def test_the_wheel_carries_every_file_of_a_model():
    settings = (ROOT / "setup.cfg").read_text()
    assert all(f"    */{name}\n" in settings for name in ALL)


def test_the_page_has_the_table_of_the_cards(results_table):
    page = PAGE.read_text()
    assert results_table.with_table(page, ROOT / "zoo") == page, "run scripts/results_table.py"


def test_the_table_is_written_from_the_cards(copy, results_table):
    page = f"# Results\n{results_table.BEGIN}old\n{results_table.END}The end.\n"
    other = read_card(shutil.copytree(copy, copy.with_name("other")))
    changes = {"name": "other", "published": None}
    sign(copy.with_name("other"), data=other.data.model_copy(update={"classes": None}), **changes)
    text = results_table.with_table(page, copy.parent)
    assert text.startswith(f"# Results\n{results_table.BEGIN}| model |")
    assert text.endswith(f"|\n{results_table.END}The end.\n")
    assert results_table.with_table(text, copy.parent) == text
    metric = f"{other.metric.value:.3f} +- {2 * other.metric.standard_error:.3f} bits/dim"
    published = "1.5 bits/dim (Somebody et al. 2020, table 1)"
    assert f"| `realnvp-digits` | realnvp | digits, 10 classes | {metric} | {published} |" in text
    assert f"| `other` | realnvp | digits | {metric} |  |" in text
    with pytest.raises(ValueError, match=r"Expected <!-- zoo.* once each"):
        results_table.with_table("# tfflows", copy.parent)


def test_saving_leaves_whole_models_or_none(zoo_run, zoo_model, tmp_path, monkeypatch):
    facts = {"licence": "any", "limitations": "any"}
    with pytest.raises(FileExistsError, match="exists already"):
        zoo.save_to_zoo(zoo_run, zoo_model, **facts)
    with pytest.raises(ValueError, match=r"not a run of `tfflows train`"):
        zoo.save_to_zoo(tmp_path, tmp_path / "model", **facts)
    with pytest.raises(ValueError, match="model's name matches"):
        zoo.save_to_zoo(zoo_run, tmp_path / "no name", **facts)

    def wrong(flow, rows, num_draws, folder):
        np.savez(
            folder / "fixture.npz", x=rows.x[:3], condition=rows.condition[:3], log_prob=np.ones(3)
        )

    with monkeypatch.context() as patch:
        patch.setattr("tfflows.zoo.saving.write_fixture", wrong)
        with pytest.raises(ValueError, match="has other values"):
            zoo.save_to_zoo(zoo_run, tmp_path / "model", **facts)

    def disk_full(flow, rows, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfflows.zoo.saving.write_samples", disk_full)
    with pytest.raises(OSError, match="No space left"):
        zoo.save_to_zoo(zoo_run, tmp_path / "model", **facts)
    assert list(tmp_path.iterdir()) == []


def test_samples_of_a_table_are_drawn_as_histograms(tmp_path):
    flow, x = randomize(small_flow()), np.random.default_rng(0).normal(size=(300, 2))
    pictures.write_samples(flow, Rows(x), tmp_path / "points.png")
    from tfflows.models import NICE

    pictures.write_samples(NICE((3,), 2, (8,)), Rows(np.c_[x, x[:, 0]]), tmp_path / "table.png")
    for name in ("points.png", "table.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_samples_of_classes_have_a_row_each(tmp_path, monkeypatch):
    asked = []

    def sample(count, condition, seed):
        asked.append((count, condition))
        return np.zeros((count, 4, 4, 1))

    flow = types.SimpleNamespace(is_discrete=True, sample=sample)
    monkeypatch.setattr(pictures.plots, "is_drawable", lambda flow: True)
    monkeypatch.setattr(pictures.plots, "draw_samples", lambda *args: None)
    x, classes = np.zeros((20, 4, 4, 1)), np.eye(3)[np.arange(20) % 3]
    pictures.write_samples(flow, Rows(x, classes), tmp_path / "classes.png")
    pictures.write_samples(flow, Rows(x, 2 * classes), tmp_path / "numbers.png")
    (count, by_class), (of_rows, numbers) = asked
    assert (count, of_rows) == (9, 20)
    np.testing.assert_array_equal(by_class.argmax(axis=1), [0, 0, 0, 1, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(numbers, 2 * classes)


def test_samples_of_patches_are_drawn_as_images_beside_the_data(tmp_path):
    flow = tfflows.Flow([tfflows.layers.ActNorm()], (63,))
    x = np.tile(np.linspace(-1, 1, 8), 8)[None, :-1].repeat(64, axis=0)
    pictures.write_samples(flow, Rows(x), tmp_path / "patches.png", as_images=patch_images)
    grey = np.asarray(Image.open(tmp_path / "patches.png").convert("L"), "float64")
    data, samples = grey[:, : grey.shape[1] // 2], grey[:, grey.shape[1] // 2 :]
    inner = slice(len(grey) // 4, -len(grey) // 8)
    # The data have columns of one grey, white noise does not.
    assert data[inner].std(axis=0).mean() < 0.5 * samples[inner].std(axis=0).mean()
