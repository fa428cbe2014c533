"""The command `tfflows export`."""

import click

from tfflows.cli.common import model_option, open_flow


@click.command()
@model_option
@click.option("--out", required=True, type=click.Path(), help="Model folder or version folder.")
@click.option(
    "--warmup", is_flag=True, help="Add the requests that TensorFlow Serving warms up by."
)
def export(model_path, out, warmup):
    """Write a SavedModel with log_prob, encode, decode, sample and sample_seeds signatures."""
    click.echo(f"Wrote {open_flow(model_path).export(out, warmup=warmup)}")
