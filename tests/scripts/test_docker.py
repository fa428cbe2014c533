"""The Dockerfiles copy what is there, and start a command that there is."""

import json
import re
from pathlib import Path

import pytest
from command import run
from marks import once

pytestmark = once

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "scripts" / "docker").glob("*.Dockerfile"))


def instructions(path):
    """(instruction, rest) of a Dockerfile."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return [tuple(line.split(" ", 1)) for line in lines]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_copied_is_there(path):
    text = path.read_text()
    (model,) = set(re.findall(r"--build-arg MODEL=(\S+)", text))
    assert f"docker build -f {path.relative_to(ROOT)} " in text
    for instruction, rest in instructions(path):
        if instruction == "COPY":
            *sources, _ = rest.replace("${MODEL}", model).split()
            assert all((ROOT / source).exists() for source in sources), rest


def test_what_is_started_is_a_command(tmp_path):
    """As `docker run` starts it, with a model for /model."""
    path = ROOT / "scripts" / "docker" / "scoring.Dockerfile"
    (command,) = [json.loads(rest) for name, rest in instructions(path) if name == "ENTRYPOINT"]
    rows, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
    rows.write_text("0.5,1.0\n2.0,0.0\n")
    options = re.search(r" scores (--in \S+ --out \S+)", path.read_text())[1].split()
    model = ROOT / "savedmodels" / "realnvp-8gaussians"
    given = {"/model": model, "rows.csv": rows, "scores.csv": out}
    run(*(given.get(word, word) for word in [*command[1:], *options]))
    assert len(out.read_text().splitlines()) == 3
