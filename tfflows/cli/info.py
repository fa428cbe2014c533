"""The command `tfflows info`."""

import click

from tfflows.cli.common import Model, data_options, import_backend, load_rows, open_flow


@click.command()
@click.option("--model", "model_path", type=Model(), help="A .keras file, a run or zoo:NAME.")
@data_options
def info(model_path, data, data_dir, options):
    """Describe a saved model, a dataset, or, without options, what there is."""
    if model_path is not None:
        open_flow(model_path).summary(print_fn=click.echo)
    import_backend()
    from tfflows import datasets, zoo
    from tfflows.runs.names import MODELS
    from tfflows.runs.settings import parse_settings

    if data is not None:
        _, description = load_rows(data, "train", data_dir, options=parse_settings(options))
        for field, value in vars(description).items():
            click.echo(f"{field:>12}  {value}")
    if model_path is None and data is None:
        click.echo(f"models    {', '.join(MODELS)}")
        click.echo(f"recipes   {', '.join(zoo.recipe_names())}")
        click.echo(f"datasets  {', '.join(datasets.NAMES)}, a file, and TFDS images such as mnist")
