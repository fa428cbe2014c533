"""The command `tfflows export`."""

import click

from tfflows.cli.common import import_backend, model_option


@click.command()
@model_option
@click.option("--out", required=True, type=click.Path(), help="Model folder or version folder.")
@click.option(
    "--warmup", is_flag=True, help="Add the requests that TensorFlow Serving warms up by."
)
def export(model_path, out, warmup):
    """Write a SavedModel with log_prob, encode, decode, sample and sample_seeds signatures.

    Flows over tables have those of `TableFlow.export`, and detectors of anomalies have detect.
    """
    import_backend()
    from tfflows.anomaly.served_detector import ServedDetector
    from tfflows.saving import load_model
    from tfflows.serving.served_flow import ServedFlow
    from tfflows.tables.served_table import ServedTable

    model = load_model(model_path)
    if isinstance(model, ServedFlow | ServedTable | ServedDetector):
        raise click.UsageError(
            f"Expected a .keras file, a run or zoo:NAME. Received: the SavedModel {model_path}"
        )
    click.echo(f"Wrote {model.export(out, warmup=warmup)}")
