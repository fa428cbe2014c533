"""From a run on a table to a model of the zoo."""

from pathlib import Path

from tfflows.runs.curve import best_epoch, read_epochs
from tfflows.runs.table_run import TableRun
from tfflows.tables.report_pictures import write_marginals
from tfflows.zoo.fixture import FIXTURE_ROWS
from tfflows.zoo.folder import UNWRITTEN, write_folder
from tfflows.zoo.model_card import Card, Data, Published, Training
from tfflows.zoo.table_recipe import RECIPE, TableRecipe, num_rows_of
from tfflows.zoo.tables import evaluate_table, fixture_arrays, spread

_FAMILY = "table"
_DRAWN_SAMPLES = 10_000


def is_table_run(folder: Path) -> bool:
    """Whether a folder is a run of `train_table`."""
    return all((folder / name).is_file() for name in ("model.keras", RECIPE, "run.json"))


def save_table_to_zoo(
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
    """`save_to_zoo` of a run of `train_table`, into a folder that is not there yet."""
    flow, recipe = TableRun(run).flow(), TableRecipe.read(run / RECIPE)
    if flow.schema != recipe.schema:
        raise ValueError(f"Expected the model of {run} to have the columns of its {RECIPE}")
    test = recipe.cells("test", data_dir)
    card = Card(
        name=folder.name,
        family=_FAMILY,
        data=_data(recipe, licence, data_dir),
        parameters=flow.count_params(),
        metric=evaluate_table(flow, recipe, "test", data_dir, num_rows),
        published=published,
        training=_training(run, recipe, machine),
        limitations=limitations,
        files=UNWRITTEN,
    )
    fixture = fixture_arrays(flow, spread(test, FIXTURE_ROWS))

    def draw(path):
        samples = flow.sample_cells(_DRAWN_SAMPLES, {}, seed=0)
        write_marginals(flow.schema, spread(test, _DRAWN_SAMPLES), samples, path)

    return write_folder(folder, run, card, flow, fixture, draw)


def _data(recipe, licence, data_dir):
    splits = ("train", "validation", "test")
    return Data(
        name=recipe.data.name,
        source=recipe.data.source,
        licence=licence,
        event_shape=(len(recipe.schema),),
        levels=None,
        classes=None,
        preprocessing="numbers by quantiles of the training rows",
        columns={column.name: column.kind for column in recipe.schema},
        **{split: num_rows_of(recipe.cells(split, data_dir)) for split in splits},
    )


def _training(run, recipe, machine):
    epochs = read_epochs(run)
    versions = TableRun(run).facts()["versions"]
    return Training(
        seed=recipe.fit.seed,
        epochs=len(epochs),
        best_epoch=best_epoch(epochs).epoch,
        minutes=round(sum(epoch.seconds for epoch in epochs) / 60, 2),
        machine=machine or versions["machine"],
        versions={name: value for name, value in versions.items() if name != "machine"},
    )
