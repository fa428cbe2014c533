"""The commands of `tfflows ray`: scoring, training and serving on Ray."""

import sys
import time

import click

from tfflows.cli.common import Commands, import_backend, model_option

address_option = click.option(
    "--address", help="Of a cluster: auto, ray://head:10001; default this machine."
)


@click.group(name="ray", cls=Commands)
def ray_commands():
    """Score, train and serve on Ray: this machine's cores, or a cluster.

    Requires pip install 'tfflows[ray]'.
    """


@ray_commands.command()
@model_option
@click.option(
    "--in", "source", required=True, help="Folder of .csv and .parquet files, or s3://..."
)
@click.option("--out", required=True, help="Folder of the scores, or s3://...")
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
@click.option("--skip-bad", is_flag=True, help="Go on past files that cannot be scored.")
@click.option("--batch-size", type=click.IntRange(1), default=4096, show_default=True)
@click.option("--actors", type=click.IntRange(1), help="Default one per core or GPU.")
@click.option("--cpus", type=click.IntRange(1), default=1, show_default=True, help="Per actor.")
@click.option("--gpus", type=click.FloatRange(0), default=0, show_default=True, help="Per actor.")
@address_option
def score(
    model_path, source, out, columns, condition_columns, missing, keep, skip_bad, batch_size,
    actors, cpus, gpus, address,
):  # fmt: skip
    """Write log p(x) of each row of many files, one file of scores per file.

    Called again, it goes on with the files that have no scores yet.
    """
    import_backend()
    from tfflows.ray import score as score_files

    done = score_files(
        model_path,
        source,
        out,
        columns.split(",") if columns else None,
        condition_columns.split(",") if condition_columns else (),
        batch_size,
        missing=missing,
        keep=keep.split(",") if keep else (),
        skip_bad=skip_bad,
        num_actors=actors,
        cpus_per_actor=cpus,
        gpus_per_actor=gpus,
        address=address,
        verbose=sys.stderr.isatty(),
    )
    gaps = f", {done.missing:,} of them NaN because of missing values" if done.missing else ""
    gaps += f"; left out {done.dropped:,} rows with missing values" if done.dropped else ""
    if done.files or not done.skipped:
        click.echo(
            f"Wrote the log-densities of {done.rows:,} rows of {done.files} files to {out}{gaps}; "
            f"{done.seconds:.1f} s, {done.rows_per_second:,.0f} rows/s"
        )
    if done.skipped:
        click.echo(f"{done.skipped} files had their scores in {out} already")
    for text in done.refused.values():
        click.echo(f"Not scored: {text}", err=True)
    if done.refused:
        raise click.exceptions.Exit(1)


@ray_commands.command()
@click.argument("recipe")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--set", "settings", multiple=True, metavar="A.B=C", help="Replace a recipe's value.")
@click.option("--out", help="Run folder, which all machines see; default runs/<name>.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, or begin it.")
@click.option(
    "--max-failures", type=click.IntRange(0), default=0, show_default=True,
    help="How many times to go on after a worker died.",
)  # fmt: skip
@click.option("--cpus", type=click.IntRange(1), default=1, show_default=True, help="Per worker.")
@click.option("--gpus", type=click.FloatRange(0), default=0, show_default=True, help="Per worker.")
@address_option
def train(recipe, workers, settings, out, resume, max_failures, cpus, gpus, address):
    """Train by RECIPE, a YAML file or the name of one, as one process does, by several."""
    from tfflows import zoo

    try:
        path = zoo.find_recipe(recipe)
        import_backend()
        from tfflows.ray import train as train_recipe
        from tfflows.runs import read_recipe

        recipe = read_recipe(path, settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        best = train_recipe(
            recipe,
            out,
            workers,
            resume=resume,
            max_failures=max_failures,
            cpus_per_worker=cpus,
            gpus_per_worker=gpus,
            address=address,
        )
    except FileExistsError as error:
        raise click.UsageError(str(error)) from error
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Wrote {best}")


@ray_commands.command()
@model_option
@click.option("--name", help="In URLs; default that of the model's file or folder.")
@click.option("--replicas", type=click.IntRange(1), default=1, show_default=True)
@click.option("--cpus", type=click.IntRange(1), default=1, show_default=True, help="Per replica.")
@click.option("--gpus", type=click.FloatRange(0), default=0, show_default=True, help="Per replica.")
@click.option("--batch-rows", type=click.IntRange(1), default=1024, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Of HTTP."
)
@click.option(
    "--grpc-port", type=click.IntRange(0, 65535), default=9000, show_default=True,
    help="0 for no gRPC.",
)  # fmt: skip
@click.option("--direct", is_flag=True, help="Each replica listens as well, past Ray's proxy.")
@address_option
def serve(
    model_path, name, replicas, cpus, gpus, batch_rows, host, port, grpc_port, direct, address
):  # fmt: skip
    """Answer HTTP and gRPC by the names of signatures, until Ctrl-C."""
    import_backend()
    from tfflows.ray import serve as serve_model

    service = serve_model(
        model_path,
        name,
        num_replicas=replicas,
        cpus_per_replica=cpus,
        gpus_per_replica=gpus,
        batch_rows=batch_rows,
        host=host,
        port=port,
        grpc_port=grpc_port or None,
        direct=direct,
        address=address,
    )
    with service:
        click.echo(f"POST {service.url}/log_prob; gRPC {service.grpc or 'off'}")
        if service.replicas:
            click.echo(f"Replicas: {', '.join(service.replicas)}")
        click.echo(f"Metrics: {', '.join(service.metrics)}")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            click.echo("Stopped")
