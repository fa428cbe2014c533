"""The command `tfflows train`."""

import json
import os
import sys
from pathlib import Path

import click

from tfflows.cli.common import Model, import_backend, open_flow


@click.command()
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, metavar="A.B=C", help="Replace a recipe's value.")
@click.option("--data-dir", type=click.Path(), help="Folder of the data; sets data.dir.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; default runs/<name>.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, or begin it.")
@click.option("--jit/--no-jit", default=None, help="Compile by XLA; sets backend.jit.")
@click.option("--mixed-precision", is_flag=True, help="Networks in bfloat16.")
@click.option("--report/--no-report", default=True, help="Evaluate the best model at the end.")
@click.option(
    "--strategy",
    type=click.Choice(["mirrored", "multi_worker", "data_parallel", "model_parallel"]),
    help="Train on several devices: mirrored (TensorFlow, this host), multi_worker (TensorFlow, "
    "the workers of TF_CONFIG), data_parallel or model_parallel (JAX).",
)
@click.option(
    "--join-timeout",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    help="Seconds to wait for the other processes.",
)
@click.option(
    "--compilation-cache/--no-compilation-cache",
    default=True,
    help="Keep what JAX compiles for later processes, in TFFLOWS_CACHE or ~/.cache/tfflows.",
)
def train(
    recipe,
    settings,
    data_dir,
    out,
    resume,
    jit,
    mixed_precision,
    report,
    strategy,
    join_timeout,
    compilation_cache,
):
    """Train by RECIPE, a YAML file or the name of one that ships with tfflows.

    Of several processes each runs this command: TF_CONFIG, or KERAS_DISTRIBUTION_JOB_ADDRESSES,
    KERAS_DISTRIBUTION_NUM_PROCESSES and KERAS_DISTRIBUTION_PROCESS_ID, say who they are.
    """
    from tfflows import zoo

    settings = [*settings, *_settings(data_dir, jit, mixed_precision, strategy)]
    try:
        path = zoo.find_recipe(recipe)
        import_backend()
        from tfflows.backend.compilation_cache import use_compilation_cache
        from tfflows.backend.processes import join_processes, leave_processes, process_count
        from tfflows.runs import read_recipe, report_run, run_recipe

        if compilation_cache:
            use_compilation_cache()
        join_processes(join_timeout)  # before a layer of the recipe is made
        recipe = read_recipe(path, settings)
    except (ValueError, TimeoutError) as error:
        raise click.UsageError(str(error)) from error
    folder = out or Path("runs") / recipe.name
    click.echo(f"Training {recipe.name} in {folder}")
    try:
        best = run_recipe(recipe, folder, resume, weights=_weights(recipe, folder))
    except FileExistsError as error:
        raise click.UsageError(str(error)) from error
    except RuntimeError as error:
        if process_count() == 1:
            raise
        click.echo(f"Error: {error}", err=True)
        sys.stderr.flush()
        os._exit(1)  # at its usual end JAX would wait for a process that is lost
    if leave_processes() > 0:
        return
    if report:
        click.echo(report_run(folder))
    click.echo(f"Wrote {best}")


def _weights(recipe, folder):
    """The flow whose weights a new run begins with."""
    if recipe.model.weights is None or (folder / "last.keras").exists():
        return None
    return open_flow(Model().convert(recipe.model.weights, None, None))


def _settings(data_dir, jit, mixed_precision, strategy):
    """The options as settings of a recipe."""
    if data_dir is not None:
        yield f"data.dir={json.dumps(data_dir)}"
    if strategy is not None:
        yield f"backend.strategy={strategy}"
        if strategy in ("mirrored", "multi_worker"):
            jit = bool(jit)  # XLA only if it was asked for, because it fails under these
    if jit is not None:
        yield f"backend.jit={json.dumps(jit)}"
    if mixed_precision:
        yield "backend.mixed_precision=true"
