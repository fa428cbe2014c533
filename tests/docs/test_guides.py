"""The code of the guides and of README.md, run as printed."""

import re
import shlex
import subprocess
import sys

import keras
import pytest
from click.testing import CliRunner
from marks import needs_tensorflow, once
from pages import blocks, commands, written
from ruamel.yaml import YAML

from tfflows.cli.main import main
from tfflows.runs import Recipe, make_recipe

# These train for longer than the others: slow runs have them, and all take under 4 minutes.
SLOW = (
    "anomalies",
    "autoregressive",
    "conditions",
    "continuous",
    "images",
    "variational",
    "energies",
    "keras",
    "long-training",
    "tables",
    "at-scale",
    "tfp",
)
GUIDES = [
    pytest.param(
        page, marks=pytest.mark.slow if page.endswith(tuple(f"{s}.md" for s in SLOW)) else ()
    )
    for page in written()
    if page.startswith("docs/guides/")
]
CHECK = """
assert log_p.shape == (5000,) and samples.shape == (1000, 2)
assert abs(x_again - x_val).numpy().max() < 1e-3
"""


def python_blocks(page):
    return [b for b in blocks(written()[page]) if b.language == "python" and b.mark != "not run"]


def run_page(page, folder):
    """Run the blocks of a page in order; returns what they named."""
    names = {"__name__": "__main__"}
    for block in blocks(written()[page]):
        if block.language == "python" and block.mark != "not run":
            source = "\n" * (block.line - 1) + block.code
            exec(compile(source, page, "exec"), names)
        elif block.language == "bash" and block.mark == "run":
            for command in commands(block.code):
                done = CliRunner().invoke(main, shlex.split(command)[1:])
                assert done.exit_code == 0, f"{page}:{block.line}: {command}\n{done.output}"
    return names


@needs_tensorflow
@pytest.mark.parametrize("page", GUIDES)
def test_the_code_of_a_guide_runs_as_printed(page, tmp_path, monkeypatch):
    assert python_blocks(page), f"{page}: no python block is run"
    if page.endswith("at-scale.md"):
        pytest.importorskip("ray", reason="ray is not installed: the extra `ray`")
    if page.endswith("tfp.md"):
        pytest.importorskip("tensorflow_probability")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    try:
        run_page(page, tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")


@needs_tensorflow
def test_the_readme_runs_with_two_couplings_and_one_epoch(tmp_path, monkeypatch):
    """A short form of the next test, in this process."""
    monkeypatch.chdir(tmp_path)
    first, *others = python_blocks("README.md")
    short = first.code.replace("num_couplings=8", "num_couplings=2").replace("epochs=5", "epochs=1")
    assert "num_couplings=2" in short
    assert "epochs=1" in short
    names = {"__name__": "__main__"}
    for code in (short, CHECK, *(block.code for block in others)):
        exec(compile(code, "README.md", "exec"), names)
    assert (tmp_path / "moons.keras").exists()
    assert (tmp_path / "savedmodels/moons/1/saved_model.pb").exists()


@pytest.mark.slow
@needs_tensorflow
def test_the_readme_runs_as_printed_in_a_new_process(tmp_path):
    first, *others = python_blocks("README.md")
    code = first.code + CHECK + "".join(block.code for block in others)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, f"README.md: {done.stderr}"
    assert (tmp_path / "moons.keras").exists()
    assert (tmp_path / "savedmodels/moons/1/saved_model.pb").exists()


@once
def test_the_first_example_has_fifteen_lines_and_is_the_same_on_both_front_pages():
    readme, index = python_blocks("README.md")[0], python_blocks("docs/index.md")[0]
    assert readme.code == index.code, "README.md and docs/index.md differ in their first example"
    assert len([line for line in readme.code.splitlines() if line.strip()]) <= 15, "README.md"


@once
def test_the_printed_recipe_is_complete():
    block = next(b for b in blocks(written()["docs/recipes.md"]) if b.language == "yaml")
    recipe = make_recipe(YAML(typ="safe", pure=True).load(block.code))
    assert recipe.optimizer.ema == "auto"
    assert set(Recipe.model_fields) == recipe.model_fields_set, "docs/recipes.md"


@once
def test_blocks_and_marks_are_found_as_the_pages_mean_them():
    text = (
        "a\n\n<!-- not run -->\n```python\nb\n```\n\n"
        "- c\n\n    ```bash\n    tfflows x \\\n      y # z\n    ```\n"
    )
    first, second = blocks(text)
    assert (first.code, first.line, first.mark) == ("b\n", 5, "not run")
    assert (second.language, second.mark) == ("bash", "")
    assert [re.sub(r"\s+", " ", c) for c in commands(second.code)] == ["tfflows x y"]
