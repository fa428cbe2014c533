"""From a run of `tfflows train` to a model of the zoo."""

import json
import re
import shutil
from pathlib import Path

from tfflows.datasets.sets.bsds_patches import patch_images
from tfflows.flow import Flow
from tfflows.layers import Dequantize, Logit, Pad, RadialGaussianize, Standardize, Whiten
from tfflows.runs.curve import CURVE, best_epoch, read_epochs
from tfflows.runs.data import load_split
from tfflows.runs.recipe import Recipe, make_recipe, read_recipe
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.keras_archive import WEIGHTS
from tfflows.utils.remote import refuse_remote
from tfflows.zoo.detector_saving import is_detector_run, save_detector_to_zoo
from tfflows.zoo.energy_saving import is_energy_run, save_energy_to_zoo
from tfflows.zoo.fixture import check_fixture, write_fixture
from tfflows.zoo.flows import evaluate_rows, metric_of, solver_error_of
from tfflows.zoo.half_precision import halve_file, round_weights
from tfflows.zoo.loading import load_folder, load_keras_file, write_model
from tfflows.zoo.model_card import (
    FILES,
    NAME,
    Card,
    Data,
    File,
    Published,
    Training,
    Units,
    describe_files,
    read_card,
    write_card,
)
from tfflows.zoo.pictures import write_samples
from tfflows.zoo.readme import model_readme
from tfflows.zoo.table_saving import is_table_run, save_table_to_zoo

# Runs of others than flows over arrays and images: whether it is one, what saves it, its units.
_OTHER_RUNS = (
    (is_energy_run, save_energy_to_zoo, "nats"),
    (is_table_run, save_table_to_zoo, "nats"),
    (is_detector_run, save_detector_to_zoo, "AUROC"),
)


def save_to_zoo(
    run: str | Path,
    folder: str | Path,
    *,
    licence: str,
    limitations: str,
    published: Published | None = None,
    units: Units | None = None,
    num_draws: int = 1,
    num_rows: int | None = None,
    machine: str | None = None,
    data_dir: str | None = None,
    half: bool = False,
) -> Card:
    """Make a model of the zoo from the best model of a run: its files, evaluation and card.

    Args:
        run: folder of a run of `tfflows train`, of `train_table`, `fit_detector` or `train_energy`.
        folder: a new one, such as "zoo/glow-mnist", whose name is the model's.
        licence: licence of the data.
        limitations: what the model should not be used for, or does badly.
        published: the number to compare with.
        units: units of the metric; None takes bits/dim for discrete data, nats for others. Tables,
            detectors and energies have only their own.
        num_draws: draws of dequantization noise per row of the test set; tables have none.
        num_rows: how many rows of that set to evaluate, evenly spread; None takes all. Of an
            energy, draws of the flow; None takes 65,536.
        machine: the machine of the training; None takes the run's own words.
        data_dir: folder of the data; None takes the recipe's.
        half: whether to round the weights to float16 before all is measured, and to store them so,
            which takes half of the space; of flows over arrays and images only.

    Raises:
        FileExistsError: `folder` holds a model already.
        ValueError, OSError: the run is not whole, or the data are missing. Nothing is written.
    """
    refuse_remote("A model of the zoo", folder)
    run, folder = Path(run), Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already: remove it first, or choose another name")
    if not re.fullmatch(NAME, folder.name):
        raise ValueError(f"A model's name matches {NAME}. Received: {folder.name!r}")
    for is_run, save, own in _OTHER_RUNS:
        if is_run(run):
            _check_arguments(num_draws, units, half, own)
            facts = {"licence": licence, "limitations": limitations, "published": published}
            where = {"num_rows": num_rows, "machine": machine, "data_dir": data_dir}
            return save(run, folder, **facts, **where)
    flow = _best_of(run, half)
    recipe = read_recipe(run / "recipe.yaml")
    rows, info = load_split(recipe, "test", data_dir)
    has_bits = flow.is_discrete and not flow.is_noisy
    units = units or ("bits/dim" if has_bits else "nats")
    evaluated = rows.spread(num_rows)
    metric = metric_of(evaluate_rows(flow, evaluated, num_draws), units, flow.dims)
    metric = metric.model_copy(update={"solver_error": solver_error_of(flow, evaluated)})
    card = Card(
        name=folder.name,
        family=recipe.model.name,
        data=_data(run, recipe, flow, info, licence, data_dir),
        parameters=flow.count_params(),
        metric=metric,
        published=published,
        training=_training(run, recipe, machine),
        limitations=limitations,
        files=dict.fromkeys(FILES, File(bytes=0, sha256="0" * 64)),  # until they are written
    )
    with replaced_on_success(folder) as temporary:
        temporary.mkdir()
        shutil.copyfile(run / CURVE, temporary / CURVE)
        write_model(flow, temporary)
        if half:
            halve_file(temporary / WEIGHTS)
        _write(flow, recipe, rows, card, temporary)
    return read_card(folder)


def _best_of(run, half):
    if not (run / "best.keras").exists():
        raise ValueError(f"{run} is not a run of `tfflows train`: it has no best.keras")
    flow = load_keras_file(run / "best.keras", Flow)
    if half:
        round_weights(flow)
    return flow


def _check_arguments(num_draws, units, half, own):
    if num_draws != 1 or units not in (None, own) or half:
        raise ValueError(
            f"This model is measured in {own}, without noise, and kept in float32. "
            f"Received: {num_draws} draws, {units or own}, half={half}"
        )


def _write(flow, recipe, rows, card, folder):
    """Write what goes with a model, and see that what was written has the densities of `flow`."""
    _without_folder(recipe).write(folder / "recipe.yaml")
    write_fixture(flow, rows, card.metric.num_draws, folder)
    check_fixture(load_folder(folder), card, folder)
    as_images = patch_images if recipe.data.name == "bsds300_patches" else None
    write_samples(flow, rows, folder / "samples.png", as_images=as_images)
    (folder / "README.md").write_bytes(model_readme(card).encode())
    write_card(card.model_copy(update={"files": describe_files(folder)}), folder)


def _without_folder(recipe: Recipe) -> Recipe:
    """The recipe without the folder that the data have on this machine."""
    return make_recipe(recipe.model_dump(exclude_unset=True, exclude={"data": {"dir"}}))


def _data(run, recipe, flow, info, licence, data_dir):
    validation = load_split(recipe, "validation", data_dir)[1]
    return Data(
        name=info.name,
        source=info.source,
        licence=licence,
        event_shape=info.event_shape,
        levels=info.levels,
        classes=info.num_classes if recipe.data.conditional else None,
        preprocessing=_preprocessing(flow),
        train=json.loads((run / "run.json").read_text())["data"]["shape"][0],
        validation=validation.size,
        test=info.size,
    )


def _preprocessing(flow):
    """The first layers, by the classes and settings that do no more than prepare data."""
    parts = {Pad: "padded", Dequantize: "dequantized from {0.levels} levels"}
    parts |= {Logit: "logit of margin {0.alpha:g}", Standardize: "standardized", Whiten: "whitened"}
    parts[RadialGaussianize] = "norms made normal"
    texts = [parts[type(layer)].format(layer) for layer in flow.flow_layers if type(layer) in parts]
    return ", ".join(texts) or "none"


def _training(run, recipe, machine):
    epochs = read_epochs(run)
    versions = json.loads((run / "run.json").read_text())["versions"]
    return Training(
        seed=recipe.seed,
        epochs=epochs[-1].epoch,
        best_epoch=best_epoch(epochs).epoch,
        minutes=round(epochs[-1].seconds / 60, 2),
        machine=machine or versions["machine"],
        versions={name: value for name, value in versions.items() if name != "machine"},
    )
