"""Models of energies in the zoo: their numbers, and from a run to a model."""

import json
import math
import shutil
from pathlib import Path

from keras import ops

from tfflows import energies
from tfflows.evaluation import plots
from tfflows.flow import Flow
from tfflows.runs.curve import CURVE, read_epochs
from tfflows.utils.atomic import replaced_on_success
from tfflows.zoo.energy_recipe import FACTS, MODEL, RECIPE, TARGETS, EnergyRecipe
from tfflows.zoo.fixture import FIXTURE_ROWS, check_fixture, save_fixture
from tfflows.zoo.loading import load_folder, load_keras_file, write_model
from tfflows.zoo.model_card import (
    FILES,
    Card,
    Data,
    File,
    Metric,
    Published,
    Training,
    describe_files,
    read_card,
    write_card,
)
from tfflows.zoo.readme import model_readme

NUM_DRAWS = 65_536
BATCH = 4096
DRAWN_SAMPLES = 4096
MAX_CHANGE = 0.02  # of the effective sample size and the acceptance, with other draws


def is_energy_run(folder: Path) -> bool:
    """Whether a folder is a run of `train_energy`."""
    is_table = (folder / "schema.yaml").exists()
    return not is_table and all((folder / name).is_file() for name in (MODEL, RECIPE, FACTS))


def evaluate_energy(flow: Flow, target: energies.Target, num_draws: int, seed: int = 0) -> Metric:
    """log Z by importance weights, the effective sample size, and Metropolis' acceptance.

    Args:
        flow: the model.
        target: its density.
        num_draws: of the flow.
        seed: of the draws.
    """
    draws = energies.importance(flow, target, num_draws, seed=seed, batch_size=BATCH)
    return Metric(
        units="nats",
        value=draws.log_z,
        standard_error=draws.log_z_error,
        num_examples=num_draws,
        ess=draws.ess,
        acceptance=energies.metropolis_of_draws(draws, seed).acceptance,
    )


def check_energy_metric(found: Metric, card: Card) -> None:
    """ValueError unless the numbers are those of the card, but for the chance of other draws."""
    expected = card.metric
    error = 5 * math.hypot(found.standard_error, expected.standard_error)
    if not abs(found.value - expected.value) <= error:
        raise ValueError(
            f"Expected {card.name} to estimate log Z as {expected.value:.4f} within {error:.4f}. "
            f"Received: {found.value:.4f}"
        )
    for name in ("ess", "acceptance"):
        wanted, came = getattr(expected, name), getattr(found, name)
        if not abs(came - wanted) <= MAX_CHANGE:
            raise ValueError(
                f"Expected {card.name} to have {name} {wanted:.3f} within {MAX_CHANGE}. "
                f"Received: {came:.3f}"
            )


def save_energy_to_zoo(
    run: Path,
    folder: Path,
    *,
    licence: str,
    limitations: str,
    published: Published | None,
    num_draws: int | None,
    machine: str | None,
) -> Card:
    """`save_to_zoo` of a run of `train_energy`, into a folder that is not there yet."""
    flow, recipe = load_keras_file(run / MODEL, Flow), EnergyRecipe.read(run / RECIPE)
    target = recipe.make_target()
    card = Card(
        name=folder.name,
        family=recipe.model.name,
        data=_data(recipe, flow, licence),
        parameters=flow.count_params(),
        metric=evaluate_energy(flow, target, num_draws or NUM_DRAWS),
        published=published,
        training=_training(run, recipe, machine),
        limitations=limitations,
        files=dict.fromkeys(FILES, File(bytes=0, sha256="0" * 64)),  # until they are written
    )
    with replaced_on_success(folder) as temporary:
        temporary.mkdir()
        for name in (CURVE, RECIPE):
            shutil.copyfile(run / name, temporary / name)
        write_model(flow, temporary)
        x = flow.sample(FIXTURE_ROWS, seed=0)
        arrays = {"x": x, "log_prob": flow.log_prob(x)}  # as the check computes it
        save_fixture({k: ops.convert_to_numpy(v) for k, v in arrays.items()}, temporary)
        check_fixture(load_folder(temporary), card, temporary)
        _write_samples(flow, target, temporary / "samples.png")
        (temporary / "README.md").write_bytes(model_readme(card).encode())
        write_card(card.model_copy(update={"files": describe_files(temporary)}), temporary)
    return read_card(folder)


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
