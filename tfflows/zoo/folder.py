"""The folder of a model: its files, checked as they were written, and its card last."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfflows.runs.curve import CURVE
from tfflows.utils.atomic import replaced_on_success
from tfflows.zoo.fixture import check_fixture, save_fixture
from tfflows.zoo.loading import load_folder, write_model
from tfflows.zoo.model_card import FILES, Card, File, describe_files, read_card, write_card
from tfflows.zoo.readme import model_readme

RECIPE = "recipe.yaml"
UNWRITTEN: dict[str, File] = dict.fromkeys(
    FILES, File(bytes=0, sha256="0" * 64)
)  # until they are written


def write_folder(
    folder: Path,
    run: Path,
    card: Card,
    model: Any,
    fixture: Mapping[str, np.ndarray],
    draw: Callable[[Path], object],
) -> Card:
    """Write a model whose run has its curve and its recipe as the zoo keeps them.

    Args:
        folder: one that is not there yet; it appears once it is whole.
        run: folder of the run.
        card: of the model, but for the hashes of its files.
        model: what has the weights.
        fixture: arrays of rows, and what the model says of them.
        draw: writes the picture to a path.

    Raises:
        ValueError: what was written says something else of the fixture's rows.
    """
    with replaced_on_success(folder) as temporary:
        temporary.mkdir()
        for name in (CURVE, RECIPE):
            shutil.copyfile(run / name, temporary / name)
        write_model(model, temporary)
        save_fixture(fixture, temporary)
        check_fixture(load_folder(temporary), card, temporary)
        draw(temporary / "samples.png")
        (temporary / "README.md").write_bytes(model_readme(card).encode())
        write_card(card.model_copy(update={"files": describe_files(temporary)}), temporary)
    return read_card(folder)
