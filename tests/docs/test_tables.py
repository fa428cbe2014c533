"""Tables of the pages are those of the files that hold their numbers."""

import pytest
from marks import once
from pages import load_script, written

pytestmark = once


@pytest.fixture(scope="module")
def tables():
    return load_script("docs_tables")


def test_every_table_is_the_one_of_its_file(tables):
    for page, text in written().items():
        if page.startswith("docs/"):
            assert tables.with_tables(text) == text, f"{page}: run python scripts/docs_tables.py"


def test_a_table_without_an_end_is_refused(tables):
    with pytest.raises(ValueError, match=r"Expected <!-- /table -->"):
        tables.with_tables("<!-- table: commands -->\n")


def test_a_table_of_a_file_has_its_headings_and_rows(tables, tmp_path):
    (tmp_path / "x.csv").write_text('a,b\n1,"2, 3"\n')
    assert tables.csv_table(tmp_path / "x.csv") == "| a | b |\n| --- | --- |\n| 1 | 2, 3 |\n"


def test_every_csv_file_has_a_page(tables):
    text = "".join(written().values())
    for path in sorted((tables.DOCS / "results").glob("*.csv")):
        assert f"<!-- table: results/{path.name} -->" in text, path.name
