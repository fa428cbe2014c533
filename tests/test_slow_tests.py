"""The lists of tests that quick runs leave out."""

from pathlib import Path

import pytest

LISTS = sorted((Path(__file__).parent / "slow_tests").glob("*.txt"))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_a_listed_test_exists(path):
    root = Path(__file__).parents[1]
    listed = path.read_text().splitlines()
    assert listed == sorted(set(listed))
    for line in listed:
        file, name = line.split("::", 1)
        assert f"def {name.split('[')[0]}(" in (root / file).read_text(), line
