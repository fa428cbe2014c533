"""The commands `tfflows evaluate` and `tfflows score`: held-out numbers, densities of rows."""

import dataclasses
import json
from pathlib import Path

import click

from tfflows.cli.common import (
    data_options,
    import_backend,
    load_rows,
    model_option,
    open_any,
    with_progress,
)


@click.command(name="evaluate")
@model_option
@data_options
@click.option("--split", default="test", show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True)
@click.option(
    "--draws",
    type=click.IntRange(1),
    default=1,
    help="Per row: of dequantization noise, or a VAE's z.",
)
@click.option("--baseline", is_flag=True, help="Also fit and evaluate a full-covariance Gaussian.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate_command(
    model_path, data, data_dir, options, split, batch_size, draws, baseline, as_json
):
    """Held-out log-likelihood, bits/dim and round-trip error of a model."""
    data, data_dir, options = _data_of(model_path, data, data_dir, options)
    flow = open_any(model_path)
    from tfflows.evaluation import evaluate

    conditional, schema = flow.condition_shape is not None, flow.data_schema
    rows, info = load_rows(data, split, data_dir, conditional, options, schema)
    if info.event_shape != flow.event_shape:
        raise click.UsageError(
            f"{model_path} requires data of shape {flow.event_shape}. Received: {data}, "
            f"{info.event_shape}"
        )
    results = {"model": evaluate(flow, with_progress(rows, batch_size, split), num_draws=draws)}
    if baseline:
        train, _ = load_rows(data, "train", data_dir, conditional, options, schema)
        results["gaussian"] = _gaussian(train, rows, info, batch_size, split)
    if as_json:
        content = {name: dataclasses.asdict(result) for name, result in results.items()}
        click.echo(json.dumps({"data": data, "split": split, **content}))
        return
    click.echo(f"{data} {split}: {results['model']}")
    if baseline:
        click.echo(f"Gaussian baseline: {results['gaussian']}")


def _gaussian(train, rows, info, batch_size, split):
    from tfflows.evaluation import GaussianBaseline

    is_discrete = info.levels is not None
    gaussian = GaussianBaseline(with_progress(train, batch_size, "train"), discrete=is_discrete)
    return gaussian.evaluate(with_progress(rows, batch_size, split))


def _data_of(model_path, data, data_dir, options):
    """The data asked for, or those of the run that the model is in."""
    folder = model_path if model_path.is_dir() else model_path.parent
    if data is None and not (folder / "recipe.yaml").exists():
        raise click.UsageError(f"--data is missing, and {folder} is not a run with a recipe.yaml")
    import_backend()
    from tfflows.runs.recipe import read_recipe
    from tfflows.runs.settings import parse_settings

    options = parse_settings(options)
    if data is not None:
        return data, data_dir, options
    saved = read_recipe(folder / "recipe.yaml").data
    return saved.name, data_dir or saved.dir, {**saved.options, **options}


@click.command()
@model_option
@click.option("--in", "source", required=True, help="A .csv, .parquet, .npy or .npz file.")
@click.option("--out", required=True, help="A .csv, .parquet or .npy file.")
@click.option("--columns", help="Columns of x: a,b,c; default all.")
@click.option("--condition-columns", default="", help="Columns of the condition: d,e.")
@click.option(
    "--missing",
    type=click.Choice(["refuse", "nan", "drop"]),
    default="refuse",
    show_default=True,
    help="Rows with missing values: stop, score them NaN, or leave them out.",
)
@click.option("--keep", default="", help="Columns to write before the score: id,date.")
@click.option("--top", type=click.IntRange(0), default=0, help="Print the least likely rows.")
@click.option("--batch-size", type=click.IntRange(1), default=4096, show_default=True)
def score(
    model_path, source, out, columns, condition_columns, missing, keep, top, batch_size
):  # fmt: skip
    """Write log p(x) of each row of a file of any length, in order.

    Columns are found by the names that the model was trained on.
    """
    if Path(out).exists() and Path(out).resolve() in (Path(source).resolve(), model_path.resolve()):
        raise click.UsageError(
            f"--out must be a different file from --in and --model. Received: {out}"
        )
    flow = open_any(model_path)
    from tfflows.evaluation import score_file

    names = columns.split(",") if columns else None
    condition = condition_columns.split(",") if condition_columns else ()
    keep = keep.split(",") if keep else ()
    done = score_file(
        flow, source, out, names, condition, batch_size, missing=missing, keep=keep, top=top
    )
    for row in done.lowest:
        cells = "".join(f"  {name}={cell}" for name, cell in zip(keep, row.kept, strict=True))
        click.echo(f"row {row.row + 1}: {row.log_prob:.4f}{cells}")
    gaps = f", {done.missing:,} of them NaN because of missing values" if done.missing else ""
    gaps += f"; left out {done.dropped:,} rows with missing values" if done.dropped else ""
    click.echo(f"Wrote the log-densities of {done.rows:,} rows to {out}{gaps}")
