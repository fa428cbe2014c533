"""What the pages name exists: names of Python, commands and options, links, pictures."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from marks import once
from pages import FENCE, ROOT, blocks, commands, generated, written

from tfflows.cli.main import main
from tfflows.utils.moved import MOVED

pytestmark = once
PAGES = {**written(), **generated()}
NAME = re.compile(r"(?<![\w./-])(?P<kind>(?:import|from) )?(?P<name>tfflows(?:\.[A-Za-z_]\w*)+)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
MACHINE = re.compile(r"(?<![\w.:/])/(?:work|tmp|home|root|opt|mnt)/\w[^\s`)]*")
SCRIPT = """
import importlib, json, sys
import tfflows
for kind, name in json.load(sys.stdin):
    try:
        if kind == "module":
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                module, _, attribute = name.rpartition(".")
                getattr(importlib.import_module(module), attribute)
            continue
        found = tfflows
        for part in name.split(".")[1:]:
            found = getattr(found, part)
    except Exception as error:
        print(json.dumps([kind, name, f"{type(error).__name__}: {error}"]))
"""


def names_of(page, text):
    """Pairs of a kind, "module" or "name", and a dotted name; in the changelog those of now."""
    if page.lower().endswith("changelog.md"):
        cells = [line.split("|")[2] for line in text.splitlines() if line.startswith("| `")]
        return {("module", name) for name in re.findall(r"tfflows\.[\w.]+", "".join(cells))}
    found = NAME.finditer(text)
    return {("module" if name["kind"] else "name", name["name"]) for name in found}


def test_every_dotted_name_exists_after_import_tfflows():
    printed = {}
    for page, text in PAGES.items():
        for pair in names_of(page, text):
            printed.setdefault(pair, []).append(page)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(list(printed)), text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    missing = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert not missing, "\n".join(
        f"{', '.join(printed[kind, name])}: {name}: {error}" for kind, name, error in missing
    )


def test_the_changelog_has_every_import_path_that_moved():
    rows = re.findall(r"^\| `(tfflows\.[\w.]+)` \| `([\w.]+)` \|$", written()["CHANGELOG.md"], re.M)
    assert dict(rows) == MOVED


def printed_commands(text):
    for block in blocks(text):
        if block.language in ("bash", "sh", "console", "text", ""):
            yield from commands(block.code)
    for span in SPAN.findall(FENCE.sub("", text)):
        yield from commands(span)


def error_of(command):
    """Why a printed command cannot be, or None. Placeholders in capitals may stand for words."""
    found, words = main, command.split()[1:]
    if "|" in words:  # a list of commands
        names = [word for word in words if word.isalpha() and word.islower()]
        group = main.commands["zoo"] if words[0] == "zoo" else main
        missing = [name for name in names if name not in {*group.commands, "zoo"}]
        return f"has no command {missing}" if missing else None
    while hasattr(found, "commands") and words and re.fullmatch(r"[a-z]+", words[0]):
        if words[0] not in found.commands:
            return f"has no command {words[0]!r}"
        found = found.commands[words.pop(0)]
    options = {"-h", "--help", "--version"}
    for parameter in found.params:
        options |= {*parameter.opts, *parameter.secondary_opts}
    for word in words:
        option = re.match(r"--?[a-z][a-z-]*", word)
        if option and option[0] not in options:
            return f"has no option {option[0]}"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_exists(page):
    text = PAGES[page]
    if page.lower().endswith("changelog.md"):  # the first cells have names of before
        text = re.sub(r"^\|[^|]*\|", "|", text, flags=re.M)
    printed = printed_commands(text)
    wrong = [f"{page}: {c}: {error_of(c)}" for c in printed if error_of(c) is not None]
    assert not wrong, "\n".join(wrong)


def test_a_wrong_command_is_seen():
    assert "no command 'trian'" in error_of("tfflows trian x")
    assert "no option --speed" in error_of("tfflows train x --speed 3")
    assert "no option --fast" in error_of("tfflows zoo verify --all --fast")
    assert "no command ['polish']" in error_of("tfflows zoo list | polish")
    assert error_of("tfflows train x --no-jit --set a.b=-1") is None


@pytest.mark.parametrize("page", written())
def test_every_link_and_picture_exists(page):
    text = SPAN.sub("", FENCE.sub("", written()[page]))
    made = {ROOT / path for path in generated()}
    for target in LINK.findall(text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        path = target.partition("#")[0]
        if not path or re.match(r"\w+:", target):
            continue
        assert not path.startswith("/"), f"{page}: {target} is not relative"
        file = Path(ROOT, page).parent.joinpath(path).resolve()
        assert file.exists() or file in made, f"{page}: there is no {target}"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_path_of_a_machine(page):
    assert not MACHINE.findall(PAGES[page]), f"{page}: {MACHINE.findall(PAGES[page])}"


def test_the_readme_is_short_and_begins_with_a_picture():
    text = written()["README.md"]
    assert len(text.encode()) <= 8192, f"README.md has {len(text.encode())} bytes"
    assert any(line.startswith("![") for line in text.splitlines()[:6]), "README.md: no picture"


def test_every_page_of_the_navigation_exists():
    text = (ROOT / "mkdocs.yml").read_text()
    for path in re.findall(r"^ +- [^:\n]+: (\S+\.md)$", text, re.M):
        assert f"docs/{path}" in PAGES, f"mkdocs.yml: there is no docs/{path}"
