"""The commands `tfflows sample` and `tfflows animate`: what a model draws."""

import csv
import math
from pathlib import Path

import click
import numpy as np

from tfflows.cli.common import model_option, open_any, open_flow
from tfflows.utils.atomic import replaced_on_success

_SUFFIXES = (".png", ".csv", ".npy")


@click.command()
@model_option
@click.option("--out", required=True, type=click.Path(), help="A .png, .csv or .npy file.")
@click.option("--num", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--temperature", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True
)
@click.option("--label", help="Class to sample, by its name or, without names, number from 0.")
@click.option("--condition", help="Numbers instead, where conditions are features: 0.5,-1.")
@click.option(
    "--guidance",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="How far samples move from those of no class, where a model learned these too.",
)
@click.option("--denoise", is_flag=True, help="Take off the noise that a model was trained with.")
def sample(model_path, out, num, seed, temperature, label, condition, guidance, denoise):
    """Draw samples: a grid of images or a scatter plot as .png, or rows as .csv or .npy.

    A .png of images of a model of classes has a row for each class, if none is named.
    """
    suffix = Path(out).suffix
    if suffix not in _SUFFIXES:
        raise click.UsageError(f"--out must be a .png, .csv or .npy file. Received: {out}")
    flow = open_any(model_path)
    from tfflows.evaluation import plots

    if suffix == ".png" and not plots.is_drawable(flow):
        raise click.UsageError(
            f"A .png requires images or 2-D points; write data of shape {flow.event_shape} as .csv"
        )
    columns = None
    if suffix == ".png" and label is condition is None and _is_of_classes(flow, plots):
        rows, columns = _rows_of_classes(flow, num)
        num = len(rows)
    else:
        rows = _one_hot(flow, label) if condition is None else _features(flow, label, condition)
    options = {**_guidance(flow, guidance), **_denoise(flow, denoise)}
    x = np.asarray(flow.sample(num, rows, seed, temperature, **options))
    if suffix == ".png":
        plots.draw_samples(flow, x, out, columns)
    else:
        _write_rows(flow.data_schema.round_dequantized(x), out, flow.data_schema, label)
    of_each = f", {columns} of each class," if columns else ""
    click.echo(f"Wrote {num} samples of shape {flow.event_shape}{of_each} to {out}")


def _guidance(flow, guidance):
    """The argument of `flow.sample`, which not every flow has."""
    if not guidance:
        return {}
    if not math.isfinite(guidance):
        raise click.UsageError(f"--guidance must be finite. Received: {guidance}")
    if not flow.has_guidance:
        raise click.UsageError(
            "--guidance expects a model that learned its density with and without the condition: a "
            "TarFlow with condition_shape and condition_dropout, or its SavedModel with the "
            f"signature sample_guided. Received: --guidance {guidance:g} and a model without"
        )
    return {"guidance": guidance}


def _denoise(flow, denoise):
    """As `_guidance`."""
    if denoise and not (flow.is_noisy and hasattr(flow, "denoise")):
        raise click.UsageError(
            "--denoise expects a TarFlow with noise, as a .keras file, a run or zoo:NAME. "
            "Received: --denoise and a model without"
        )
    return {"denoise": True} if denoise else {}


def _is_of_classes(flow, plots):
    """Whether the flow draws images of classes, rather than given numbers."""
    shape, schema = flow.condition_shape, flow.data_schema
    has_classes = shape is not None and len(shape) == 1 and shape[0] > 1
    return has_classes and schema.condition_columns is None and plots.is_image(flow)


def _rows_of_classes(flow, num):
    """Conditions of at most `num` samples, as many of each class, and how many."""
    from tfflows.evaluation.class_rows import each_class

    classes = flow.condition_shape[0]
    if num < classes:
        raise click.UsageError(
            f"A row for each of {classes} classes takes --num of at least {classes}; --label draws "
            f"one class. Received: --num {num}"
        )
    return each_class(classes, num // classes), num // classes


def _one_hot(flow, label):
    if flow.condition_shape is None:
        if label is not None:
            raise click.UsageError("--label is for conditional models, and this one is not")
        return None
    if len(flow.condition_shape) != 1:
        raise click.UsageError(
            "--label requires a model with one-hot conditions. Received: conditions of shape "
            f"{flow.condition_shape}"
        )
    if label is None:
        raise click.UsageError(
            "--label is missing: the class to sample. A model whose conditions are features takes "
            "--condition 0.5,-1"
        )
    return np.eye(flow.condition_shape[0], dtype="float32")[[_class_number(flow, label)]]


def _class_number(flow, label):
    if flow.data_schema.classes is not None:
        try:
            return flow.data_schema.class_number(label)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    if not label.isdecimal() or int(label) >= flow.condition_shape[0]:
        raise click.UsageError(
            f"--label must be a class from 0 to {flow.condition_shape[0] - 1}, because the model "
            f"has no names of classes. Received: {label!r}"
        )
    return int(label)


def _features(flow, label, condition):
    if label is not None or flow.condition_shape is None:
        raise click.UsageError("--condition is for conditional models, instead of --label")
    try:
        row = np.asarray([float(number) for number in condition.split(",")], "float32")
    except ValueError:
        raise click.UsageError(
            f"--condition must be numbers: 0.5,-1. Received: {condition}"
        ) from None
    if row.size != np.prod(flow.condition_shape, dtype=int):
        classes = flow.data_schema.classes
        instead = f", or --label one of {', '.join(classes)}" if classes else ""
        raise click.UsageError(
            f"--condition must be numbers for {flow.condition_shape}{instead}. "
            f"Received: {row.size} of them"
        )
    return row.reshape(1, *flow.condition_shape)


def _write_rows(x, out, schema, label):
    with replaced_on_success(out) as temporary:
        if temporary.suffix == ".npy":
            np.save(temporary, x)
            return
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            # With its class, by which `score` takes a row.
            has_label = None not in (label, schema.label, schema.classes)
            if schema.columns is not None:
                writer.writerow([*schema.columns, *([schema.label] if has_label else [])])
            for row in x.reshape(len(x), -1):
                cells = [f"{value:.9g}" for value in row]
                writer.writerow([*cells, *([label] if has_label else [])])


@click.command(name="animate")
@model_option
@click.option("--out", required=True, type=click.Path(), help="A .png strip or a .gif animation.")
@click.option("--frames", type=click.IntRange(2), default=8, show_default=True)
@click.option("--num", type=click.IntRange(1), default=50_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def animate_command(model_path, out, frames, num, seed):
    """Show samples of a 2-D model on their way from the base to the data."""
    flow = open_flow(model_path)
    from tfflows.evaluation import animate

    try:
        animate(flow, out, frames, num, seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"Wrote {frames} frames to {out}")
