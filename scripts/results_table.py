"""Write the results table of the zoo into docs/results/zoo.md, from the cards of its models.

    python scripts/results_table.py [--check]

The table stands between two comments. `--check` writes nothing, and fails where it differs.
"""

import argparse
import sys
from pathlib import Path

from tfflows import zoo

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "zoo.md"
BEGIN, END = "<!-- zoo: written by scripts/results_table.py -->\n", "<!-- /zoo -->\n"


def with_table(text, folder):
    """The text of a page, with the table of the models in a folder between its two comments."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"Expected {BEGIN.strip()} and {END.strip()} once each in the page")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    cards = [zoo.card(path) for path in sorted(folder.iterdir()) if zoo.is_model(path)]
    return f"{before}{BEGIN}{zoo.results_table(cards)}{END}{after}"


def main():
    """Write the table, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = PAGE.read_text()
    expected = with_table(text, ROOT / "zoo")
    if check and expected != text:
        sys.exit(f"{PAGE.name} differs from the cards: run python scripts/results_table.py")
    if not check:
        PAGE.write_text(expected)


if __name__ == "__main__":
    main()
