"""The command `tfflows plot`: pictures of a run."""

from pathlib import Path

import click
import numpy as np

from tfflows.cli.common import data_dir_option, import_backend, open_flow

_MAX_ELEMENTS = 2**20


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="A folder; default RUN/plots.")
@click.option("--rows", type=click.IntRange(2), default=2000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@data_dir_option
def plot(run, out, rows, seed, data_dir):
    """Draw a RUN: curves, marginals or images, and log-densities of test rows and samples."""
    if not (run / "metrics.jsonl").exists() or not (run / "best.keras").exists():
        raise click.UsageError(
            f"Expected the folder of a run with at least one finished epoch. Received: {run}"
        )
    import_backend()
    from tfflows.evaluation import plots
    from tfflows.evaluation.class_rows import are_few_classes, each_class
    from tfflows.runs.curve import best_epoch, read_epochs
    from tfflows.runs.data import load_split
    from tfflows.runs.recipe import read_recipe

    out = out or run / "plots"
    epochs = read_epochs(run)
    curves = {"training": [e.nll for e in epochs], "validation": [e.val_nll for e in epochs]}
    if None in curves["training"]:  # which had another objective, such as flow matching
        del curves["training"]
    best = best_epoch(epochs).epoch
    plots.training_curves([e.epoch for e in epochs], curves, best, out / "curves.png")
    flow = open_flow(run)
    held_out, _ = load_split(read_recipe(run / "recipe.yaml"), "test", data_dir)
    held_out = held_out.spread(min(rows, max(64, _MAX_ELEMENTS // flow.dims)))
    x, condition = np.asarray(held_out.x), held_out.condition
    samples = np.asarray(flow.sample(len(x), condition, seed))
    parts = {"test": x, "samples": samples}
    # One draw, because a VAE's default of thousands takes long.
    scores = {name: flow.log_prob(part, condition, 1) for name, part in parts.items()}
    plots.score_histogram({k: np.asarray(v) for k, v in scores.items()}, out / "scores.png")
    if plots.is_drawable(flow):
        drawn, columns = samples[:64] if plots.is_image(flow) else samples, None
        if plots.is_image(flow) and are_few_classes(condition):
            columns = condition.shape[1]  # a row for each class
            drawn = np.asarray(flow.sample(columns**2, each_class(columns, columns), seed))
        plots.draw_samples(flow, drawn, out / "samples.png", columns)
    if len(flow.event_shape) == 1:
        plots.marginals(x, samples, out / "marginals.png", names=flow.data_schema.columns)
    click.echo(f"Wrote {', '.join(sorted(path.name for path in out.glob('*.png')))} to {out}")
