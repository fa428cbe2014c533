"""The commands `tfflows zoo list | card | pull | verify | evaluate | train | save`."""

from pathlib import Path

import click

from tfflows.cli.common import (
    Commands,
    ZooModel,
    data_dir_option,
    import_backend,
    with_progress,
)
from tfflows.utils.errors import first_paragraph

_model = click.argument("folder", metavar="MODEL", type=ZooModel())


@click.group(name="zoo", cls=Commands)
def zoo_commands():
    """Pretrained models.

    MODEL is the name of one, its folder with a slash, ./NAME, or a URL: https://host/base/name,
    hf://owner/repo/name.
    """


@zoo_commands.command(name="list")
@click.argument("pattern", default="*")
def list_command(pattern):
    """Names, families, data and numbers of the models here, such as glow-*."""
    from tfflows import zoo
    from tfflows.zoo import readme

    names = zoo.list_models(pattern)
    if not names:
        click.echo(f"There is no model {pattern!r} here")
    for name in names:
        try:
            card = zoo.card(name)
            text = f"{card.family:18} {card.data.name:16} {readme.metric_text(card.metric)}"
        except ValueError as error:
            text = f"cannot be used: {first_paragraph(error)}"
        click.echo(f"{name:24} {text}")


@zoo_commands.command(name="card")
@_model
@click.option("--json", "as_json", is_flag=True, help="Print card.json.")
def card_command(folder, as_json):
    """What is known of a model: data, training, numbers, limitations."""
    from tfflows import zoo

    card = zoo.card(folder)
    click.echo(card.model_dump_json(indent=2) if as_json else zoo.model_readme(card))


@zoo_commands.command()
@_model
def pull(folder):
    """Download a model to the cache, if it is not there, and print its folder."""
    click.echo(folder)


@zoo_commands.command()
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Verify every model that `list` names.")
@click.option("--full", is_flag=True, help="Compute the metric on the whole test set too.")
@data_dir_option
def verify(names, every, full, data_dir):
    """Check the hashes of models, load them, and compute their metric again."""
    if not names and not every:
        raise click.UsageError("Give the models to verify, or --all")
    from tfflows import zoo

    names = zoo.list_models() if every else names
    if not names:
        click.echo("There is no model here")
    import_backend()
    failed = []
    for name in names:
        try:
            found = zoo.verify(name, full, data_dir)
        except (ValueError, OSError) as error:
            failed.append(name)
            click.echo(f"{name}: FAILED: {first_paragraph(error)}")
            continue
        click.echo(f"{name}: {_found_text(found)}")
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(names)} failed: {', '.join(failed)}")


def _found_text(found):
    fixture, metric, stored = found.fixture, found.metric, found.card.metric
    text = f"{fixture.found:.4f} {stored.units} on its fixture, {fixture.stored:.4f} expected"
    if metric is not None and found.card.kind == "energy":
        text += f"; ESS {metric.ess:.3f}, {stored.ess:.3f} expected"
        text += f"; log Z {metric.value:.4f}, {stored.value:.4f} expected"
    elif metric is not None:
        text += f"; {metric.value:.4f} on the test set, {stored.value:.4f} expected"
    return text


@zoo_commands.command(name="evaluate")
@_model
@click.option("--split", default="test", show_default=True)
@click.option("--draws", type=click.IntRange(1), help="Dequantization draws; default the card's.")
@data_dir_option
def evaluate_command(folder, split, draws, data_dir):
    """Held-out log-likelihood, bits/dim and round-trip error, beside the card's number."""
    import_backend()
    from tfflows import zoo
    from tfflows.evaluation import evaluate
    from tfflows.runs.data import load_split
    from tfflows.zoo import flows, readme
    from tfflows.zoo.kinds import KINDS

    card = zoo.card(folder)
    if card.kind != "flow":
        found = KINDS[card.kind].evaluate(zoo.load(folder), folder, card, split, data_dir, None)
        click.echo(f"{card.data.name} {split}: {readme.metric_text(found)}")
        click.echo(f"card, test: {readme.metric_text(card.metric)}")
        return
    rows, info = load_split(flows.recipe_of(folder), split, data_dir)
    batches = with_progress(rows, flows.ROWS_AT_ONCE, split)
    result = evaluate(zoo.load(folder), batches, num_draws=draws or card.metric.num_draws)
    click.echo(f"{info.name} {split}: {result}")
    click.echo(f"card, test: {readme.metric_text(card.metric)}")


@zoo_commands.command(name="train")
@click.argument("model", metavar="MODEL")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; default runs/<name>.")
@data_dir_option
def train_command(model, out, data_dir):
    """Train a MODEL of tables or of an energy, or a detector, again, or by a recipe, a .yaml file.

    Other models are trained again by `tfflows train recipe.yaml`.
    """
    from tfflows import zoo
    from tfflows.zoo.table_recipe import RECIPE

    path = Path(model)
    if path.suffix != ".yaml":
        folder = ZooModel().convert(model, None, None)
        if zoo.card(folder).kind == "flow":
            raise click.UsageError(f"Train it by: tfflows train {folder / RECIPE}")
        path = folder / RECIPE
    elif not path.is_file():
        raise click.UsageError(f"There is no file {path}")
    import_backend()
    from tfflows.runs.settings import read_yaml

    out = out or Path("runs") / (path.parent.name if path.name == RECIPE else path.stem)
    sections, train = read_yaml(path), _train_table
    if isinstance(sections, dict) and "target" in sections:
        train = _train_energy
    elif isinstance(sections, dict) and "detector" in sections:
        train = _fit_detector
    try:
        train(path, out, data_dir)
    except FileExistsError as error:
        raise click.UsageError(str(error)) from error


def _train_energy(path, out, data_dir):
    from tfflows.zoo.energy_recipe import MODEL, EnergyRecipe, train_energy

    if data_dir is not None:
        raise click.UsageError(f"An energy has no data. Received: --data-dir {data_dir}")
    train_energy(EnergyRecipe.read(path), out, verbose=2)
    click.echo(f"Wrote {out / MODEL}")


def _fit_detector(path, out, data_dir):
    from tfflows.cli.table_progress import EpochProgress
    from tfflows.zoo.detector_recipe import DETECTOR, DetectorRecipe, fit_detector

    with EpochProgress() as progress:
        fitted = fit_detector(DetectorRecipe.read(path), out, data_dir, [progress])
    click.echo(f"A score below {fitted.threshold_:.6g} is abnormal: {fitted.score_name_}")
    click.echo(f"Wrote {out / DETECTOR}")


def _train_table(path, out, data_dir):
    from tfflows.cli.table_progress import EpochProgress
    from tfflows.zoo.table_recipe import TableRecipe, train_table

    with EpochProgress() as progress:
        best = train_table(TableRecipe.read(path), out, data_dir, callbacks=[progress])
    click.echo(f"Best epoch {best.epoch}: held-out nll {best.val_nll:.4f} nats per row")
    click.echo(f"Wrote {out / 'model.keras'}")


@zoo_commands.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False))
@click.argument("folder", type=click.Path())
@click.option("--licence", required=True, help="Licence of the data.")
@click.option("--limitations", required=True, help="What the model is not for, or does badly.")
@click.option("--published", type=float, help="The number to compare with.")
@click.option(
    "--published-units", type=click.Choice(["nats", "bits/dim"]), help="Units of that number."
)
@click.option("--published-source", help="Where it was published.")
@click.option(
    "--units", type=click.Choice(["nats", "bits/dim"]), help="Default bits/dim for discrete data."
)
@click.option(
    "--draws",
    type=click.IntRange(1),
    default=1,
    help="Per row: of dequantization noise, or a VAE's z.",
)
@click.option("--half", is_flag=True, help="Round the weights to float16: half of the space.")
@click.option("--rows", type=click.IntRange(1), help="Test rows, evenly spread; default all.")
@click.option("--machine", help="Machine of the training; default the run's own words.")
@data_dir_option
def save(
    run, folder, licence, limitations, published, published_units, published_source, units,
    draws, half, rows, machine, data_dir,
):  # fmt: skip
    """Make FOLDER, a model of the zoo, from the best model of a RUN."""
    parts = (published, published_units, published_source)
    if None in parts and any(part is not None for part in parts):
        raise click.UsageError("--published, --published-units and --published-source go together")
    import_backend()
    from tfflows import zoo
    from tfflows.zoo import readme

    if published is not None:
        published = zoo.Published(value=published, units=published_units, source=published_source)
    card = zoo.save_to_zoo(
        run,
        folder,
        licence=licence,
        limitations=limitations,
        published=published,
        units=units,
        half=half,
        num_draws=draws,
        num_rows=rows,
        machine=machine,
        data_dir=data_dir,
    )
    click.echo(f"Wrote {folder}: {readme.metric_text(card.metric)}")
