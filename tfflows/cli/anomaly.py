"""The commands of `tfflows anomaly`: fitting detectors, scoring rows, reports."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfflows.cli.common import Commands, Model, import_backend
from tfflows.cli.table import Names, exclude_option, seed_option

if TYPE_CHECKING:
    from tfflows.anomaly import AnomalyDetector

_PATH = click.Path(path_type=Path)
labels_option = click.option("--labels", help="Column, or array, that is 1 for anomalies, else 0.")
split_option = click.option("--split", default="test", show_default=True, help="Of a data set.")
data_dir_option = click.option("--data-dir", type=click.Path(), help="Folder of a data set.")


@click.group(name="anomaly", cls=Commands)
def anomaly_commands():
    """Fit detectors of anomalies, score rows by them, and write reports.

    DATA is a .csv, .parquet, .npz or .npy file, or a data set by its name. DETECTOR is the .keras
    file that `fit` wrote, or zoo:NAME.
    """


@anomaly_commands.command()
@click.argument("data")
@click.option("--out", type=_PATH, help="A .keras file; default <name of the data>.keras.")
@click.option("--score", default="auto", show_default=True, help="Name of the score.")
@click.option("--model", help="A trained flow (.keras, run, zoo:NAME) instead of the default one.")
@click.option(
    "--rate", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05,
    show_default=True, help="Of false alarms.",
)  # fmt: skip
@click.option(
    "--contamination", type=click.FloatRange(0, 0.5), default=0.0, show_default=True,
    help="Share of DATA that may be anomalies.",
)  # fmt: skip
@labels_option
@exclude_option
@click.option("--split", default="train", show_default=True, help="Of a data set.")
@data_dir_option
@click.option(
    "--max-minutes", type=click.FloatRange(0, min_open=True), default=1.5, show_default=True,
    help="Of the training.",
)  # fmt: skip
@seed_option
def fit(
    data, out, score, model, rate, contamination, labels, exclude, split, data_dir, max_minutes,
    seed,
):  # fmt: skip
    """Fit a detector to the normal rows of DATA, some of which calibrate its threshold.

    With --labels, rows that are labelled abnormal are left out.
    """
    import_backend()
    from tfflows.anomaly import AnomalyDetector
    from tfflows.anomaly.rows import take
    from tfflows.saving import load_model

    out = out or Path(f"{Path(data).stem}.keras")
    if out.suffix != ".keras":
        raise click.UsageError(f"--out must be a .keras file. Received: {out}")
    rows, own = _read(data, labels, exclude, split, data_dir)
    if own is not None:
        rows = take(rows, (~own).nonzero()[0])
    detector = AnomalyDetector(
        score,
        load_model(model) if model else None,
        rate,
        contamination=contamination,
        max_minutes=max_minutes,
        seed=seed,
    )
    detector.fit(rows)
    detector.save(out)
    click.echo(
        f"Fitted to {len(rows):,} rows, {len(detector.calibration_scores_):,} of which calibrate: "
        f"{detector.score_name_} of a {type(detector.model_).__name__}"
    )
    click.echo(f"A score below {detector.threshold_:.6g} is abnormal, {rate:.2%} false alarms")
    click.echo(f"Wrote {out}")


@anomaly_commands.command()
@click.argument("detector", type=Model())
@click.argument("data")
@click.option("--out", required=True, type=_PATH, help="A .csv or .parquet file.")
@click.option("--keep", type=Names(), default=[], help="Columns to write too, before the scores.")
@click.option("--top", type=click.IntRange(0), default=0, help="Print the most abnormal rows.")
@split_option
@data_dir_option
def score(detector, data, out, keep, top, split, data_dir):
    """Write score, p-value and is_anomaly of each row of DATA, in order.

    Lower scores are more abnormal, as scikit-learn has it.
    """
    from tfflows.anomaly.files import OUTPUTS, write_scores

    if out.suffix not in OUTPUTS:
        raise click.UsageError(f"--out must be a {' or '.join(OUTPUTS)} file. Received: {out}")
    found = _open(detector)
    from tfflows.anomaly import p_values
    from tfflows.anomaly.rows import take

    rows, _ = _read(data, None, [], split, data_dir)
    scores = found.score_samples(rows)
    columns = {
        "score": scores,
        "p_value": p_values(-found.calibration_scores_, -scores),
        "is_anomaly": (scores < found.threshold_).astype(int),
    }
    write_scores(out, rows, columns, keep)
    if top:
        places = scores.argsort(kind="stable")[:top]
        explanation = found.explain(take(rows, places))
        for number, place in enumerate(places):
            why = "; ".join(explanation.reasons(number))
            click.echo(f"row {place}: {scores[place]:.4f}  {why}")
    abnormal = int(columns["is_anomaly"].sum())
    click.echo(f"Wrote the scores of {len(scores):,} rows to {out}; {abnormal:,} are abnormal")


@anomaly_commands.command()
@click.argument("detector", type=Model())
@click.argument("data")
@click.option("--out", type=_PATH, help="An .html file; default anomalies.html.")
@labels_option
@click.option("--top", type=click.IntRange(0), default=20, show_default=True, help="Rows to show.")
@split_option
@data_dir_option
def report(detector, data, out, labels, top, split, data_dir):
    """Write a page on the rows of DATA: scores, threshold, the most abnormal rows and why.

    With --labels, also the ROC and the precision-recall curve.
    """
    out = out or Path("anomalies.html")
    if out.suffix != ".html":
        raise click.UsageError(f"--out must be an .html file. Received: {out}")
    found = _open(detector)
    from tfflows.anomaly.report import write_report

    rows, own = _read(data, labels, [], split, data_dir)
    title = Path(data).name
    numbers = write_report(found, rows, out, labels=own, top=top, title=title)
    abnormal = int((numbers.scores > numbers.threshold).sum())
    click.echo(f"{abnormal:,} of {len(numbers.scores):,} rows are abnormal")
    click.echo(f"Wrote {out}")


def _open(path) -> "AnomalyDetector":
    import_backend()
    from tfflows.anomaly import AnomalyDetector
    from tfflows.saving import load_model

    found = load_model(path)
    if not isinstance(found, AnomalyDetector):
        raise click.UsageError(f"Expected a detector's .keras file, or zoo:NAME. Received: {path}")
    return found


def _read(data, labels, exclude, split, data_dir):
    """Rows and labels or None, of a file or of a data set by its name."""
    import numpy as np

    from tfflows.anomaly.files import read_file
    from tfflows.cli.common import load_rows

    if Path(data).suffix:
        try:
            return read_file(data, labels, exclude)
        except FileNotFoundError as error:
            raise click.UsageError(str(error)) from error
    if labels or exclude:
        raise click.UsageError(f"--labels and --exclude are of files. Received: {data}")
    rows, _ = load_rows(data, split, data_dir)
    return np.asarray(rows.x[:]), None
