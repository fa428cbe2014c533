"""From a run of `fit_detector` to a model of the zoo."""

import json
from pathlib import Path

from tfflows.anomaly.defaults import is_of_images
from tfflows.anomaly.detector import AnomalyDetector
from tfflows.anomaly.pictures import score_histogram
from tfflows.anomaly.saved_detector import SavedDetector
from tfflows.runs.curve import best_epoch, read_epochs
from tfflows.tables import TableFlow
from tfflows.zoo.detector_recipe import DETECTOR, FACTS, RECIPE, DetectorRecipe
from tfflows.zoo.detectors import evaluate_detector, fixture_arrays, num_parameters, spread
from tfflows.zoo.fixture import FIXTURE_ROWS
from tfflows.zoo.folder import UNWRITTEN, write_folder
from tfflows.zoo.loading import load_keras_file
from tfflows.zoo.model_card import Card, Data, Published, Training

_FAMILY = "detector"
# What is prepared within the models, for the card.
_IMAGES, _ROWS = "dequantized", "in units that the model has learned from the training rows"


def is_detector_run(folder: Path) -> bool:
    """Whether a folder is a run of `fit_detector`."""
    return all((folder / name).is_file() for name in (DETECTOR, RECIPE, FACTS))


def save_detector_to_zoo(
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
    """`save_to_zoo` of a run of `fit_detector`, into a folder that is not there yet."""
    saved = load_keras_file(run / DETECTOR, SavedDetector)
    detector = saved.restore(AnomalyDetector())
    recipe = DetectorRecipe.read(run / RECIPE)
    test = recipe.rows("test", data_dir)
    card = Card(
        name=folder.name,
        family=_FAMILY,
        data=_data(detector, recipe, test, licence, data_dir),
        parameters=num_parameters(detector),
        metric=evaluate_detector(detector, recipe, data_dir, num_rows),
        published=published,
        training=_training(run, machine),
        limitations=limitations,
        files=UNWRITTEN,
    )
    fixture = fixture_arrays(detector, spread(test, FIXTURE_ROWS))

    def draw(path):
        calibration, scores = detector.calibration_scores_, detector.score_samples(test.rows)
        score_histogram(-calibration, -scores, -detector.threshold_, test.labels, path)

    return write_folder(folder, run, card, saved, fixture, draw)


def _data(detector, recipe, test, licence, data_dir):
    calibration = len(detector.calibration_scores_)
    model = detector.model_
    is_table = isinstance(model, TableFlow)
    return Data(
        name=recipe.data.name,
        source=recipe.source(data_dir),
        licence=licence,
        event_shape=(len(model.schema),) if is_table else tuple(model.event_shape),
        levels=None,
        classes=None,
        preprocessing=_IMAGES if is_of_images(model) else _ROWS,
        train=len(recipe.rows("train", data_dir).rows) - calibration,
        validation=calibration,
        test=len(test.rows),
    )


def _training(run, machine):
    epochs = read_epochs(run)
    facts = json.loads((run / FACTS).read_text("utf-8"))
    versions = facts["versions"]
    return Training(
        seed=facts["seed"],
        epochs=len(epochs),
        best_epoch=best_epoch(epochs).epoch,
        minutes=round(sum(epoch.seconds for epoch in epochs) / 60, 2),
        machine=machine or versions["machine"],
        versions={name: value for name, value in versions.items() if name != "machine"},
    )
