"""What the commands share: errors in one line, the options that name models and data.

Nothing here imports Keras before a command needs it: help and usage errors come at once.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfflows.utils.errors import first_paragraph
from tfflows.utils.quiet import silent_stderr
from tfflows.utils.suggest import nearest

if TYPE_CHECKING:
    from tfflows.datasets import DatasetInfo, Rows
    from tfflows.flow import Flow
    from tfflows.serving.served_flow import ServedFlow
    from tfflows.utils.data_schema import DataSchema

# Commands of version 0.1 by what they are called now.
RENAMED = {"film": "animate"}


class Commands(click.Group):
    """Turns what a user can cause into one line and an exit code; names near subcommands."""

    def resolve_command(self, ctx, args):
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = nearest(args[0], self.commands)
            if RENAMED.get(args[0]) in self.commands:
                hint = f"; it is called {RENAMED[args[0]]} now"
            raise click.UsageError(f"{error.message.rstrip('.')}{hint}") from None

    def invoke(self, ctx):
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except (ValueError, OSError, FloatingPointError, MemoryError, ImportError) as error:
            raise click.ClickException(first_paragraph(error)) from error


def _show_warning(message, category, filename, lineno, file=None, line=None):
    """One line for what concerns the user; what libraries say to their developers is left out."""
    if issubclass(category, UserWarning):
        click.echo(f"Warning: {first_paragraph(message)}", err=True)


class ZooModel(click.ParamType):
    """A model of the zoo by its name, ./folder or URL; the value is its folder, checked."""

    name = "model"

    def convert(self, value, param, ctx) -> Path:
        from tfflows import zoo

        try:
            return value if isinstance(value, Path) else zoo.find(value)
        except FileNotFoundError as error:
            self.fail(str(error), param, ctx)


class Model(ZooModel):
    """The path of a model, or "zoo:" and a model of the zoo."""

    def convert(self, value, param, ctx) -> Path:
        if isinstance(value, str) and value.startswith("zoo:"):
            return super().convert(value.removeprefix("zoo:"), param, ctx)
        path = Path(value)
        if not path.exists():
            self.fail(f"There is no model at {path}", param, ctx)
        return path


model_option = click.option(
    "--model", "model_path", required=True, type=Model(),
    help="A .keras file, a run folder, a SavedModel or zoo:NAME.",
)  # fmt: skip
data_dir_option = click.option("--data-dir", type=click.Path(), help="Folder of the data.")


def data_options(command: Callable) -> Callable:
    """The options that name data, for a command."""
    for option in (
        click.option(
            "--option", "options", multiple=True, metavar="KEY=VALUE",
            help="Option of a file: columns=[a, b], label=class, missing=drop, ...",
        ),
        data_dir_option,
        click.option("--data", help="digits, mnist, table.csv, ...; default the run's own."),
    ):  # fmt: skip
        command = option(command)
    return command


def import_backend() -> None:
    """Import Keras without the notes that TensorFlow writes to standard error meanwhile."""
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_stderr():
        import tfflows.backend  # noqa: F401, imports Keras if it has a backend for us


def open_any(path: Path) -> "Flow | ServedFlow":
    """The flow of a .keras file, a run folder, a SavedModel or a folder of the zoo."""
    import_backend()
    from tfflows.saving import load_flow

    try:
        return load_flow(path)
    except FileNotFoundError as error:
        raise click.UsageError(str(error)) from error


def open_flow(path: Path) -> "Flow":
    """As `open_any`, but not a SavedModel."""
    flow = open_any(path)
    from tfflows.flow import Flow

    if not isinstance(flow, Flow):
        raise click.UsageError(
            f"Expected a .keras file, a run or zoo:NAME. Received: the SavedModel {path}"
        )
    return flow


def load_rows(
    name: str,
    split: str,
    data_dir: str | None = None,
    conditional: bool = False,
    options: dict[str, Any] | None = None,
    schema: "DataSchema | None" = None,
) -> "tuple[Rows, DatasetInfo]":
    """Rows of data that the command line names; a usage error where they cannot be.

    The columns and classes of a file are found by the names in `schema`, unless `options` say them.
    """
    from tfflows import datasets

    try:
        options = options or {}
        if schema:
            options = _by_name(schema, name, data_dir, conditional, options)
        return datasets.load_rows_by_options(name, split, conditional, data_dir, options)
    except ValueError as error:
        raise click.UsageError(first_paragraph(error)) from error


def _by_name(schema, name, data_dir, conditional, options):
    from tfflows.datasets.user_file import column_names

    reading = {key: options[key] for key in ("array", "header") if key in options}
    names = column_names(name, data_dir, **reading)
    if names is None:
        return options
    found: dict[str, Any] = {}
    if "exclude" not in options:
        found["columns"] = schema.find_columns(names, name)
    if schema.dequantized is not None:
        found["dequantize"] = schema.dequantized
    if conditional and schema.classes is not None:
        found |= {"label": schema.label, "classes": schema.classes}
    elif conditional and schema.condition_columns is not None:
        found["condition"] = schema.condition_columns
    return {**found, **options}


def with_progress(rows: "Rows", batch_size: int, label: str) -> Iterator:
    """Batches in order, with a bar on standard error."""
    from tfflows.datasets.batches import Batches  # here, because it imports Keras

    batches = Batches(rows, batch_size)
    if not sys.stderr.isatty():  # click would write the label alone
        label = ""
    with click.progressbar(range(batches.num_batches or 0), file=sys.stderr, label=label) as bar:
        for number in bar:
            batch = batches[number]
            yield batch if isinstance(batch, dict) else batch[0]
