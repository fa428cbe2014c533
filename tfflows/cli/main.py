"""The command line: `tfflows train | evaluate | score | sample | film | export | info | zoo`.

Exit codes: 0 done, 1 failure (files, data, training), 2 usage (an option or value that cannot be).
"""

import dataclasses
import json
from pathlib import Path

import click
import numpy as np

from tfflows import datasets, zoo
from tfflows.cli.common import Commands, Model, open_any, open_flow, with_progress
from tfflows.cli.zoo import zoo_commands
from tfflows.evaluation import plots
from tfflows.evaluation.evaluation import GaussianBaseline, evaluate
from tfflows.evaluation.scoring import score_file
from tfflows.runs import recipe as recipes
from tfflows.runs.settings import parse_settings
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.errors import first_paragraph


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tfflows")
def main():
    """Train, evaluate, sample and export normalizing flows."""


main.add_command(zoo_commands)


def _data_options(command):
    for option in (
        click.option(
            "--option", "options", multiple=True, metavar="KEY=VALUE",
            help="Of a file: columns=[a, b], label=class, missing=drop, ...",
        ),
        click.option("--data-dir", type=click.Path(), help="Folder of the data."),
        click.option("--data", help="digits, mnist, table.csv, ...; default the run's own."),
    ):  # fmt: skip
        command = option(command)
    return command


_model_option = click.option(
    "--model", "model_path", required=True, type=Model(),
    help="A .keras file, a run folder, a SavedModel or zoo:NAME.",
)  # fmt: skip
_batch_option = click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True)


@main.command()
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, metavar="A.B=C", help="Replace a recipe's value.")
@click.option("--data-dir", type=click.Path(), help="Folder of the data; sets data.dir.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; default runs/<name>.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder.")
@click.option("--jit/--no-jit", default=None, help="Compile by XLA; sets backend.jit.")
@click.option("--mixed-precision", is_flag=True, help="Networks in bfloat16.")
@click.option("--strategy", type=click.Choice(["mirrored"]), help="Train on all local devices.")
def train(recipe, settings, data_dir, out, resume, jit, mixed_precision, strategy):
    """Train by RECIPE, a YAML file or the name of one that tfflows brings."""
    from tfflows.runs.run import run_recipe

    settings = list(settings)
    if data_dir is not None:
        settings.append(f"data.dir={json.dumps(data_dir)}")
    if strategy is not None:
        settings.append(f"backend.strategy={strategy}")
        jit = bool(jit)  # XLA only where it was asked for, since it fails under a strategy
    if jit is not None:
        settings.append(f"backend.jit={json.dumps(jit)}")
    if mixed_precision:
        settings.append("backend.mixed_precision=true")
    try:
        recipe = recipes.read_recipe(zoo.find_recipe(recipe), settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    folder = out or Path("runs") / recipe.name
    click.echo(f"Training {recipe.name} in {folder}")
    try:
        best = run_recipe(recipe, folder, resume)
    except FileExistsError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"Wrote {best}")


def _load(data, split, data_dir, conditional=False, options=None):
    try:
        return datasets.load_rows(data, split, conditional, data_dir, **(options or {}))
    except ValueError as error:
        raise click.UsageError(first_paragraph(error)) from error


@main.command(name="evaluate")
@_model_option
@_data_options
@click.option("--split", default="test", show_default=True)
@_batch_option
@click.option("--draws", type=click.IntRange(1), default=1, help="Dequantization draws a row.")
@click.option("--baseline", is_flag=True, help="Also fit and evaluate a full-covariance Gaussian.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate_command(
    model_path, data, data_dir, options, split, batch_size, draws, baseline, as_json
):
    """Held-out log-likelihood, bits/dim and round-trip error of a model."""
    flow = open_any(model_path)
    data, data_dir, options = _data_of(model_path, data, data_dir, options)
    conditional = flow.condition_shape is not None
    rows, info = _load(data, split, data_dir, conditional, options)
    if info.event_shape != flow.event_shape:
        raise click.UsageError(
            f"{model_path} wants data of shape {flow.event_shape}. Received: {data}, "
            f"{info.event_shape}"
        )
    results = {"model": evaluate(flow, with_progress(rows, batch_size, split), num_draws=draws)}
    if baseline:
        train_rows, _ = _load(data, "train", data_dir, options=options)
        x = rows[0] if conditional else rows
        gaussian = GaussianBaseline(
            with_progress(train_rows, batch_size, "train"), discrete=info.levels is not None
        )
        results["gaussian"] = gaussian.evaluate(with_progress(x, batch_size, split))
    if as_json:
        content = {name: dataclasses.asdict(result) for name, result in results.items()}
        click.echo(json.dumps({"data": data, "split": split, **content}))
        return
    click.echo(f"{data} {split}: {results['model']}")
    if baseline:
        click.echo(f"Gaussian baseline: {results['gaussian']}")


def _data_of(model_path, data, data_dir, options):
    """The data asked for, or those of the run that the model is in."""
    options = parse_settings(options)
    if data is not None:
        return data, data_dir, options
    folder = model_path if model_path.is_dir() else model_path.parent
    if not (folder / "recipe.yaml").exists():
        raise click.UsageError(f"--data is missing, and {folder} is no run with a recipe.yaml")
    saved = recipes.read_recipe(folder / "recipe.yaml").data
    return saved.name, data_dir or saved.dir, {**saved.options, **options}


@main.command()
@_model_option
@click.option("--in", "source", required=True, help="A .csv, .parquet, .npy or .npz file.")
@click.option("--out", required=True, help="A .csv, .parquet or .npy file.")
@click.option("--columns", help="Columns of x: a,b,c; default all.")
@click.option("--condition-columns", default="", help="Columns of the condition: d,e.")
@click.option("--batch-size", type=click.IntRange(1), default=4096, show_default=True)
def score(model_path, source, out, columns, condition_columns, batch_size):
    """Write log p(x) of each row of a file of any length, in order."""
    flow = open_any(model_path)
    names = columns.split(",") if columns else None
    condition = condition_columns.split(",") if condition_columns else ()
    count = score_file(flow, source, out, names, condition, batch_size)
    click.echo(f"Wrote the log-densities of {count:,} rows to {out}")


@main.command()
@_model_option
@click.option("--out", required=True, type=click.Path(), help="A .png, .csv or .npy file.")
@click.option("--num", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--temperature", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True
)
@click.option("--label", type=click.IntRange(0), help="Class to sample, for conditional models.")
@click.option("--condition", help="Numbers in its place where conditions are features: 0.5,-1.")
def sample(model_path, out, num, seed, temperature, label, condition):
    """Draw samples: a grid of images or a scatter plot as .png, or rows as .csv or .npy."""
    flow = open_flow(model_path)
    suffix = Path(out).suffix
    if suffix not in (".png", ".csv", ".npy"):
        raise click.UsageError(f"--out wants a .png, .csv or .npy file. Received: {out}")
    if suffix == ".png" and not plots.is_drawable(flow):
        raise click.UsageError(
            f"A .png wants images or 2-D points; write data of shape {flow.event_shape} as .csv"
        )
    row = _one_hot(flow, label) if condition is None else _features(flow, label, condition)
    x = np.asarray(flow.sample(num, row, seed, temperature))
    _write_samples(flow, x, out, suffix)
    click.echo(f"Wrote {num} samples of shape {flow.event_shape} to {out}")


def _one_hot(flow, label):
    if flow.condition_shape is None:
        if label is not None:
            raise click.UsageError("--label is for conditional models, and this one is not")
        return None
    if len(flow.condition_shape) != 1:
        raise click.UsageError(
            f"--label wants a model of one-hot conditions. This one's are {flow.condition_shape}"
        )
    if label is None or label >= flow.condition_shape[0]:
        raise click.UsageError(f"--label wants a class from 0 to {flow.condition_shape[0] - 1}")
    return np.eye(flow.condition_shape[0], dtype="float32")[[label]]


def _features(flow, label, condition):
    if label is not None or flow.condition_shape is None:
        raise click.UsageError("--condition is for conditional models, in place of --label")
    try:
        row = np.asarray([float(number) for number in condition.split(",")], "float32")
    except ValueError:
        raise click.UsageError(
            f"--condition wants numbers: 0.5,-1. Received: {condition}"
        ) from None
    if row.size != np.prod(flow.condition_shape, dtype=int):
        raise click.UsageError(
            f"--condition wants numbers for {flow.condition_shape}. Received: {row.size} of them"
        )
    return row.reshape(1, *flow.condition_shape)


def _write_samples(flow, x, out, suffix):
    if suffix == ".png":
        plots.draw_samples(flow, x, out)
    else:
        with replaced_on_success(out) as temporary:
            if suffix == ".npy":
                np.save(temporary, x)
            else:
                np.savetxt(temporary, x.reshape(len(x), -1), delimiter=",", fmt="%.8g")


@main.command()
@_model_option
@click.option("--out", required=True, type=click.Path(), help="A .png strip or a .gif animation.")
@click.option("--frames", type=click.IntRange(2), default=8, show_default=True)
@click.option("--num", type=click.IntRange(1), default=50_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def film(model_path, out, frames, num, seed):
    """Show samples of a 2-D model on their way from the base to the data."""
    from tfflows.evaluation.animation import write_film

    try:
        write_film(open_flow(model_path), out, frames, num, seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"Wrote {frames} frames to {out}")


@main.command()
@_model_option
@click.option("--out", required=True, type=click.Path(), help="Model folder or version folder.")
@click.option(
    "--warmup", is_flag=True, help="Add the requests that TensorFlow Serving warms up by."
)
def export(model_path, out, warmup):
    """Write a SavedModel with log_prob, encode, decode, sample and sample_seeds signatures."""
    try:
        click.echo(f"Wrote {open_flow(model_path).export(out, warmup)}")
    except ImportError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option("--model", "model_path", type=Model(), help="A .keras file, a run or zoo:NAME.")
@_data_options
def info(model_path, data, data_dir, options):
    """Describe a saved model, a dataset, or, without options, what there is."""
    if model_path is not None:
        open_flow(model_path).summary(click.echo)
    if data is not None:
        _, description = _load(data, "train", data_dir, options=parse_settings(options))
        for field, value in vars(description).items():
            click.echo(f"{field:>12}  {value}")
    if model_path is None and data is None:
        click.echo(f"models    {', '.join(recipes.MODELS)}")
        click.echo(f"recipes   {', '.join(zoo.recipe_names())}")
        click.echo(f"datasets  {', '.join(datasets.NAMES)}, a file, and TFDS images such as mnist")


if __name__ == "__main__":
    main()
