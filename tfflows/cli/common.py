"""What the commands share: errors in one line, the options that name models and data."""

import sys
from pathlib import Path

import click

from tfflows import zoo
from tfflows.datasets.batches import Batches
from tfflows.flow import Flow
from tfflows.saving import load_model
from tfflows.serving.served_flow import ServedFlow
from tfflows.utils.errors import first_paragraph
from tfflows.utils.suggest import nearest


class Commands(click.Group):
    """Turns what a user can cause into one line and an exit code; names near subcommands."""

    def resolve_command(self, ctx, args):
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            message = error.message.rstrip(".")
            raise click.UsageError(f"{message}{nearest(args[0], self.commands)}") from None

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, FloatingPointError, MemoryError) as error:
            raise click.ClickException(first_paragraph(error)) from error


class ZooModel(click.ParamType):
    """A model of the zoo by its name, folder or URL; the value is its folder, checked."""

    name = "model"

    def convert(self, value, param, ctx) -> Path:
        try:
            return value if isinstance(value, Path) else zoo.find(value)
        except FileNotFoundError as error:
            self.fail(str(error), param, ctx)


class Model(ZooModel):
    """The path of a model, or "zoo:" and a model of the zoo."""

    def convert(self, value, param, ctx) -> Path:
        if isinstance(value, str) and value.startswith("zoo:"):
            return super().convert(value.removeprefix("zoo:"), param, ctx)
        return Path(value)


def open_any(path: Path) -> Flow | ServedFlow:
    """The flow of a .keras file, a run folder, a SavedModel or a folder of the zoo."""
    try:
        return load_model(path)
    except FileNotFoundError as error:
        raise click.UsageError(str(error)) from error


def open_flow(path: Path) -> Flow:
    """As `open_any`, but no SavedModel."""
    flow = open_any(path)
    if not isinstance(flow, Flow):
        raise click.UsageError(
            f"This wants a .keras file, a run or zoo:NAME. Received: the SavedModel {path}"
        )
    return flow


def with_progress(rows, batch_size: int, label: str):
    """Batches in order, with a bar on standard error."""
    batches = Batches(rows, batch_size)
    numbers = range(batches.num_batches)
    with click.progressbar(numbers, file=sys.stderr, label=label) as bar:
        for number in bar:
            batch = batches[number]
            yield batch if isinstance(batch, dict) else batch[0]
