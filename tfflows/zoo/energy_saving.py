"""From a run of `train_energy` to a model of the zoo."""

import json
from pathlib import Path

from keras import ops

from tfflows import energies
from tfflows.evaluation import plots
from tfflows.flow import Flow
from tfflows.runs.curve import read_epochs
from tfflows.zoo.energies import BATCH, NUM_DRAWS, evaluate_energy
from tfflows.zoo.energy_recipe import FACTS, MODEL, RECIPE, TARGETS, EnergyRecipe
from tfflows.zoo.fixture import FIXTURE_ROWS
from tfflows.zoo.folder import UNWRITTEN, write_folder
from tfflows.zoo.loading import load_keras_file
from tfflows.zoo.model_card import Card, Data, Published, Training

DRAWN_SAMPLES = 4096


def is_energy_run(folder: Path) -> bool:
    """Whether a folder is a run of `train_energy`."""
    is_table = (folder / "schema.yaml").exists()
    return not is_table and all((folder / name).is_file() for name in (MODEL, RECIPE, FACTS))


def save_energy_to_zoo(
    run: Path,
    folder: Path,
    *,
    licence: str,
    limitations: str,
    published: Published | None,
    num_rows: int | None,
    machine: str | None,
    data_dir: str | None,
) -> Card:
    """`save_to_zoo` of a run of `train_energy`, into a folder that is not there yet."""
    if data_dir is not None:
        raise ValueError(f"An energy has no data. Received: data_dir={data_dir!r}")
    flow, recipe = load_keras_file(run / MODEL, Flow), EnergyRecipe.read(run / RECIPE)
    target = recipe.make_target()
    card = Card(
        name=folder.name,
        family=recipe.model.name,
        data=_data(recipe, flow, licence),
        parameters=flow.count_params(),
        metric=evaluate_energy(flow, target, num_rows or NUM_DRAWS),
        published=published,
        training=_training(run, recipe, machine),
        limitations=limitations,
        files=UNWRITTEN,
    )
    x = flow.sample(FIXTURE_ROWS, seed=0)
    arrays = {"x": x, "log_prob": flow.log_prob(x)}  # as the check computes it
    fixture = {name: ops.convert_to_numpy(value) for name, value in arrays.items()}
    return write_folder(
        folder, run, card, flow, fixture, lambda path: _write_samples(flow, target, path)
    )


def _write_samples(flow, target, path):
    """Draws of the flow beside those that its weights correct."""
    draws = energies.importance(flow, target, DRAWN_SAMPLES, seed=1, batch_size=BATCH)
    corrected = draws.resample(DRAWN_SAMPLES, seed=1)
    shape = (DRAWN_SAMPLES, -1)
    plots.marginals(
        corrected.reshape(shape), draws.x.reshape(shape), path, labels=("by weight", "draws")
    )


def _data(recipe, flow, licence):
    values = recipe.target.arguments.items()
    arguments = ", ".join(f"{name}={value!r}" for name, value in values)
    return Data(
        name=f"{TARGETS[recipe.target.name].__name__}({arguments})",
        source=recipe.target.source,
        licence=licence,
        event_shape=flow.event_shape,
        levels=None,
        classes=None,
        preprocessing="none",
        train=0,
        validation=0,
        test=0,
    )


def _training(run, recipe, machine):
    epochs = read_epochs(run)
    found = json.loads((run / FACTS).read_text("utf-8"))["versions"]
    return Training(
        seed=recipe.seed,
        epochs=epochs[-1].epoch,
        best_epoch=epochs[-1].epoch,
        minutes=round(epochs[-1].seconds / 60, 2),
        machine=machine or found["machine"],
        versions={name: value for name, value in found.items() if name != "machine"},
    )
