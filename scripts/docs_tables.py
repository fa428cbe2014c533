"""Write the tables of the pages in docs/ from the files that hold their numbers.

    python scripts/docs_tables.py [--check]

A table stands between `<!-- table: results/NAME.csv -->` and `<!-- /table -->`; the path is below
docs/. `<!-- table: commands -->` stands for all commands with their options, one table each. The
zoo's table is written by scripts/results_table.py, the one of docs/results/serving.md by
scripts/check_serving.py.
`--check` writes nothing, and fails where a page differs.
"""

import argparse
import csv
import inspect
import re
import sys
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TABLE = re.compile(r"(<!-- table: (\S+) -->\n)(?:(?!<!--)[\s\S])*?(<!-- /table -->)")


def with_tables(text: str) -> str:
    """The text of a page with every table written anew."""
    if text.count("<!-- table: ") != len(TABLE.findall(text)):
        raise ValueError("Expected <!-- /table --> after each <!-- table: ... -->")
    return TABLE.sub(lambda found: found[1] + _table(found[2]) + found[3], text)


def _table(source):
    if source == "commands":
        from tfflows.cli.main import main as commands

        return _commands(commands, click.Context(commands, info_name="tfflows"))
    return csv_table(DOCS / source)


def csv_table(path: Path) -> str:
    """The Markdown table of a CSV file whose first row has the headings."""
    with open(path, newline="", encoding="utf-8") as file:
        headings, *rows = csv.reader(file)
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _commands(command, context):
    """Headings, usages and options of a command and of those below it."""
    path = context.command_path
    text = f"\n{'#' * len(path.split())} {path}\n\n" if " " in path else ""
    text += inspect.cleandoc(command.help or "") + "\n"
    if not isinstance(command, click.Group):
        usage = " ".join(command.collect_usage_pieces(context))
        text += f"\n    {path} {usage}\n\n"
        options = [
            p.get_help_record(context) for p in command.params if isinstance(p, click.Option)
        ]
        rows = "".join(f"| `{_cell(name)}` | {_cell(what)} |\n" for name, what in options)
        return text + (f"| option | |\n| --- | --- |\n{rows}" if rows else "")
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        text += _commands(child, click.Context(child, parent=context, info_name=name))
    return text


def _cell(text):
    return text.replace("|", "\\|").replace("<", "").replace(">=", "≥ ").replace(">", "")


def main():
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        wanted = with_tables(text)
        if check and wanted != text:
            sys.exit(f"{page.relative_to(ROOT)} differs: run python scripts/docs_tables.py")
        if wanted != text:
            page.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
