"""The pages of the documentation, as written and as generated, and the code that they print."""

import functools
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```", re.M | re.S
)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    code: str
    line: int  # of the page, where the code begins
    mark: str  # the comment in the line before it, such as "not run"


@functools.cache
def written() -> dict[str, str]:
    """The text of every page in the repository, by its path."""
    names = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "savedmodels/README.md")
    paths = [ROOT / name for name in names] + sorted((ROOT / "docs").rglob("*.md"))
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths}


@functools.cache
def generated() -> dict[str, str]:
    """The text of every page that scripts/docs_pages.py makes, by its path."""
    pages = load_script("docs_pages").pages()
    return {f"docs/{path}": text for path, text in pages.items()}


def load_script(name: str):
    """The module of a script, which stands in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for match in FENCE.finditer(text):
        before = text[: match.start("code")]
        mark = re.search(r"<!-- (.+?) -->\s*$", text[: match.start()])
        indent = len(match["indent"])
        code = "".join(line[indent:] for line in match["code"].splitlines(keepends=True))
        line = before.count("\n") + 1
        found.append(Block(match["language"], code, line, mark[1] if mark else ""))
    return found


def commands(code: str) -> list[str]:
    """The lines of a block that call tfflows, continued lines joined and comments cut."""
    lines = code.replace("\\\n", " ").splitlines()
    lines = [re.sub(r"\s#.*", "", line).strip().removeprefix("$ ") for line in lines]
    lines = [re.sub(r"^python3? -m tfflows ", "tfflows ", line) for line in lines]
    return [line for line in lines if line.startswith("tfflows ")]
