"""`tfflows info` of data: what it describes, warns of and refuses, in a line each."""

import numpy as np
import pytest
from command import run
from marks import needs_tensorflow

pytestmark = needs_tensorflow


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    x = np.random.default_rng(0).normal(size=300)
    path.write_text("v,k\n" + "".join(f"{v},{i % 3}\n" for i, v in enumerate(x)))
    return path


def test_warnings_are_one_line_each(table):
    output = run("info", "--data", table)
    lines = [line for line in output.splitlines() if line.startswith("Warning")]
    assert len(lines) == 1
    assert lines[0].startswith(f"Warning: {table} has columns without a density")
    assert "'k' has 3 different whole numbers in 300 rows" in lines[0]
    assert "condition_columns  ('k',)" in run("info", "--data", table, "--option", "condition=[k]")
    assert "Warning" not in run("info", "--data", table, "--option", "dequantize=[k]")


@pytest.mark.parametrize("option", ["columns=5", "name=x", "condition=true"])
def test_wrong_options_are_usage_errors_of_one_line(table, option):
    output = run("info", "--data", table, "--option", option, code=2)
    assert "Traceback" not in output
    assert option.partition("=")[0] in output.splitlines()[-1]
