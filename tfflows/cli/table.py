"""The commands of `tfflows table`: fitting, scoring, sampling and imputing tables."""

from pathlib import Path

import click

from tfflows.cli.common import Commands, import_backend
from tfflows.utils.errors import first_paragraph

_PATH = click.Path(path_type=Path)


class Names(click.ParamType):
    """Names of columns, with commas between them."""

    name = "a,b"

    def convert(self, value, param, ctx) -> list[str]:
        if isinstance(value, list):
            return value
        names = [name.strip() for name in value.split(",")]
        if not all(names):
            self.fail(f"Expected names of columns: a,b. Received: {value!r}", param, ctx)
        return names


exclude_option = click.option("--exclude", type=Names(), default=[], help="Columns to leave out.")
orders_option = click.option(
    "--orders", type=click.IntRange(1), default=1, show_default=True,
    help="Orders of columns in an ensemble, for a flow of random orders.",
)  # fmt: skip
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)


@click.group(name="table", cls=Commands)
def table_commands():
    """Fit, score, sample, impute and report tables of mixed columns.

    DATA is a .csv or .parquet file, or a folder of them. RUN is the folder that `fit` wrote, the
    model in it, or zoo:NAME.
    """


@table_commands.command()
@click.argument("data", type=_PATH)
@click.option("--out", type=_PATH, help="Run folder; default runs/<name of the data>.")
@click.option("--schema", "schema_path", type=_PATH, help="Columns, as `schema` writes them.")
@exclude_option
@click.option(
    "--order", type=Names(), default="random", show_default=True,
    help="Names of all columns in the one order to train, instead of random orders.",
)  # fmt: skip
@click.option(
    "--validation", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.1,
    show_default=True, help="Share of the rows that is held out.",
)  # fmt: skip
@click.option(
    "--max-steps", type=click.IntRange(1), default=6000, show_default=True,
    help="Of the training, at most.",
)  # fmt: skip
@click.option("--max-minutes", type=click.FloatRange(0, min_open=True), help="Of the training.")
@seed_option
@click.option("--report/--no-report", default=True, help="Write report.html at the end.")
def fit(data, out, schema_path, exclude, order, validation, max_steps, max_minutes, seed, report):
    """Fit a flow to DATA, until rows that are held out get no likelier.

    The kinds of the columns are inferred, unless --schema says them.
    """
    import_backend()
    from tfflows.cli.table_progress import EpochProgress
    from tfflows.runs.table_run import TableRun, fit_table, report_table

    out = out or Path("runs") / data.stem
    try:
        TableRun(out).check_new()
    except FileExistsError as error:
        raise click.UsageError(str(error)) from error
    schema = _schema(data, schema_path, exclude)
    settings = {}
    if order != ["random"] or "random" in schema:
        settings["order"] = _order(order, schema)
    click.echo(f"Fitting {out.name} in {out}: {_kinds(schema)}")
    with EpochProgress() as progress:
        best = fit_table(
            data,
            out,
            schema,
            seed=seed,
            validation=validation,
            max_steps=max_steps,
            max_minutes=max_minutes,
            callbacks=[progress],
            **settings,
        )
    click.echo(f"Best epoch {best.epoch}: held-out nll {best.val_nll:.4f} nats per row")
    if report:
        click.echo(report_table(out))
        click.echo(f"Wrote {out / 'report.html'}")
    click.echo(f"Wrote {out / 'model.keras'}")


def _schema(data, path, exclude):
    """The schema of a file, or of the data, without some columns."""
    from tfflows.tables import Schema

    if path is None:
        from tfflows.tables.sources import chunks

        first = next(chunks(data, rows=1), None)
        _check_names(exclude, first.columns if first else exclude, "--exclude")
        return Schema.infer(data, **dict.fromkeys(exclude))
    schema = Schema.from_yaml(path)
    _check_names(exclude, schema.names, "--exclude")
    return schema.replace(**dict.fromkeys(exclude))


def _check_names(names, known, option):
    from tfflows.utils.suggest import nearest

    for name in names:
        if name not in known:
            raise click.UsageError(
                f"Expected {option} to name columns of the table. Received: {name!r}"
                f"{nearest(name, known)}"
            )


def _order(order, schema):
    _check_names(order, schema.names, "--order")
    if sorted(order) != sorted(schema.names):
        absent = sorted(set(schema.names) - set(order))
        received = f"not {', '.join(absent[:5])}" if absent else "one of them twice"
        raise click.UsageError(f"Expected --order to name every column once. Received: {received}")
    return order


def _kinds(schema):
    """ "15 columns, 6 integer, 7 category, 2 boolean"."""
    kinds = [column.kind for column in schema]
    counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    return f"{len(kinds):,} column{'s' * (len(kinds) > 1)}, {', '.join(counts)}"


@table_commands.command(name="schema")
@click.argument("data", type=_PATH)
@click.option("--out", type=_PATH, help="A .yaml file; default standard output.")
@exclude_option
def schema_command(data, out, exclude):
    """Infer the kinds of the columns of DATA, as YAML to edit and give to `fit --schema`."""
    schema = _schema(data, None, exclude)
    if out is None:
        click.echo(schema.to_yaml(), nl=False)
        return
    schema.to_yaml(out)
    click.echo(f"Wrote {out}: {_kinds(schema)}")


def _open(path):
    import_backend()
    from tfflows import zoo
    from tfflows.runs.table_run import read_table_flow

    try:
        if str(path).startswith("zoo:"):
            return _check_table(zoo.load(str(path).removeprefix("zoo:")), path)
        return read_table_flow(path)
    except FileNotFoundError as error:
        raise click.UsageError(str(error)) from error


def _check_table(flow, path):
    from tfflows.tables import TableFlow

    if not isinstance(flow, TableFlow):
        raise click.UsageError(f"Expected a model of tables. Received: {path}")
    return flow


def _check_out(out):
    from tfflows.tables.table_files import SUFFIXES

    if out.suffix not in SUFFIXES:
        raise click.UsageError(f"--out must be a {' or '.join(SUFFIXES)} file. Received: {out}")


@table_commands.command()
@click.argument("run", type=_PATH)
@click.argument("data", type=_PATH)
@click.option("--out", required=True, type=_PATH, help="A .csv or .parquet file.")
@click.option("--given", type=Names(), default=[], help="Columns to condition on.")
@click.option("--keep", type=Names(), default=[], help="Columns to write too, before the score.")
@click.option("--top", type=click.IntRange(0), default=0, help="Print the least likely rows.")
@orders_option
def score(run, data, out, given, keep, top, orders):
    """Write log p of each row of DATA in nats, in order, or log p(the others | --given)."""
    flow = _open(run)
    from tfflows.cli.table_progress import row_progress
    from tfflows.tables.table_files import score_table

    _check_out(out)
    _check_names(given, flow.schema.names, "--given")
    with row_progress("scoring") as advance:
        count, lowest = score_table(flow, data, out, given, orders, keep, top, advance)
    for row in lowest:
        cells = "".join(f"  {name}={cell}" for name, cell in zip(keep, row.kept, strict=True))
        click.echo(f"row {row.row}: {row.log_prob:.4f}{cells}")
    click.echo(f"Wrote the log-densities of {count:,} rows to {out}")


@table_commands.command()
@click.argument("run", type=_PATH)
@click.option("-n", "--num", type=click.IntRange(1), default=1000, show_default=True)
@click.option(
    "--where", "conditions", multiple=True, metavar="CONDITION",
    help="COLUMN=VALUE, or COLUMN:LOW..HIGH with both ends included; may be repeated.",
)  # fmt: skip
@click.option("--out", required=True, type=_PATH, help="A .csv or .parquet file.")
@seed_option
def sample(run, num, conditions, out, seed):
    """Draw rows, exactly given the conditions: --where sex=Female --where age:30..40.

    COLUMN= is a missing cell, COLUMN:30.. is open at one end, and 2024-03 is the whole month.
    """
    flow = _open(run)
    from tfflows.cli.table_progress import row_progress
    from tfflows.tables.conditional_draws import ConditionalDraws
    from tfflows.tables.conditions import parse_conditions
    from tfflows.tables.table_files import sample_table

    _check_out(out)
    try:
        parsed = parse_conditions(flow.schema, conditions)
    except ValueError as error:
        raise click.UsageError(f"--where: {first_paragraph(error)}") from error
    draws = ConditionalDraws(flow, parsed, seed)
    with row_progress("sampling", num) as advance:
        sample_table(draws, num, out, advance)
    ranges = ""
    if parsed.ranges:
        ranges = f"; {draws.acceptance:.2%} of {draws.num_drawn:,} draws were in the ranges"
    click.echo(f"Wrote {num:,} rows to {out}{ranges}")


@table_commands.command()
@click.argument("run", type=_PATH)
@click.argument("data", type=_PATH)
@click.option("--out", required=True, type=_PATH, help="A .csv or .parquet file.")
@click.option("--draws", type=click.IntRange(1), default=1, show_default=True, help="Per row.")
@orders_option
@seed_option
def impute(run, data, out, draws, orders, seed):
    """Fill the missing cells of DATA by draws given the other cells of their rows.

    Cells that are there stay as they are. With several draws the columns `row` and `draw` come
    first.
    """
    flow = _open(run)
    from tfflows.cli.table_progress import row_progress
    from tfflows.tables.table_files import impute_table

    _check_out(out)
    with row_progress("imputing") as advance:
        count, holes = impute_table(flow, data, out, draws, seed, orders, advance)
    times = f", {draws} times each" if draws > 1 else ""
    click.echo(f"Wrote {count:,} rows with {holes:,} cells filled{times} to {out}")


@table_commands.command()
@click.argument("run", type=_PATH)
@click.argument("data", type=_PATH, required=False)
@click.option("--out", type=_PATH, help="An .html file; default report.html in RUN.")
def report(run, data, out):
    """Write a page on RUN: its numbers on rows that were held out, or on DATA.

    Likelihood beside independent columns, a Gaussian copula and a Chow-Liu tree; real and sampled
    columns and pairs; a classifier two-sample score; the least likely rows.
    """
    if out is not None and out.suffix != ".html":
        raise click.UsageError(f"--out must be an .html file. Received: {out}")
    if not (run / "run.json").is_file():
        raise click.UsageError(f"Expected a folder that `tfflows table fit` wrote. Received: {run}")
    import_backend()
    from tfflows.runs.table_run import report_table

    click.echo(report_table(run, data, out))
    click.echo(f"Wrote {out or run / 'report.html'}")
