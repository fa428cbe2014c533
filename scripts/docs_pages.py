"""Pages that mkdocs makes while it builds: the zoo from its cards, the API from `__all__`.

A hook of mkdocs.yml. It reads sources only, so that the pages are built without TensorFlow.
"""

import ast
import json
import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tfflows"
API = (
    "tfflows", "tfflows.models", "tfflows.layers", "tfflows.transforms", "tfflows.networks",
    "tfflows.distributions", "tfflows.vae", "tfflows.anomaly", "tfflows.energies",
    "tfflows.tfp", "tfflows.training", "tfflows.ode", "tfflows.datasets", "tfflows.evaluation",
    "tfflows.evaluation.plots", "tfflows.runs", "tfflows.serving", "tfflows.zoo",
    "tfflows.testing",
)  # fmt: skip
# Pages of the repository that stand outside docs/.
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "savedmodels/README.md": "savedmodels.md",
}
LINK = re.compile(r"(?<=\]\()([^)#:\s]+)")
# Pages that need the width of a column of navigation.
HIDDEN = {
    "index.md": ["navigation"], "models.md": ["toc"], "results/zoo.md": ["toc"],
    "results/serving.md": ["toc"], "guides/from-others.md": ["toc"],
    "benchmark-rows.md": ["toc"], "zoo/index.md": ["toc"],
}  # fmt: skip


def on_page_markdown(markdown, page, config, files):
    """Hide the columns that a page leaves no room for; lead links to pages outside to theirs."""
    page.meta["hide"] = HIDDEN.get(page.file.src_uri, [])
    return _relinked(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def on_config(config):
    """Name the pages that are made here in the navigation."""
    config.nav[_position(config.nav, "API")]["API"] = [
        {"Overview": "api/index.md"},
        *({module: f"api/{_page(module)}"} for module in API),
    ]
    config.nav[_position(config.nav, "Zoo")]["Zoo"] = [
        {"Overview": "zoo/index.md"},
        *({name: f"zoo/{name}.md"} for name in _models()),
    ]
    return config


def on_files(files, config):
    """Add the pages and the pictures of the zoo."""
    from mkdocs.structure.files import File  # what the pages say is tested without mkdocs

    for path, content in pages().items():
        files.append(File.generated(config, path, content=content))
    for name, folder in _models().items():
        picture = folder / "samples.png"
        files.append(File.generated(config, f"zoo/{name}.png", abs_src_path=str(picture)))
    return files


def pages() -> dict[str, str]:
    """The Markdown of every page that is made here, by its path below docs/."""
    models = _models()
    return {
        **{page: _outside(source, page) for source, page in OUTSIDE.items()},
        "zoo/index.md": _zoo_index(models),
        **{f"zoo/{name}.md": _model_page(folder) for name, folder in models.items()},
        "api/index.md": _api_index(),
        **{f"api/{_page(module)}": _api_page(module) for module in API},
    }


def _position(nav, title):
    return next(i for i, entry in enumerate(nav) if title in entry)


def _outside(source, page):
    return _relinked((ROOT / source).read_text(encoding="utf-8"), source, page)


def _relinked(text, source, page):
    """The text of a file of the repository, with its links as they are from a page of docs/."""

    def target(link):
        path = os.path.normpath(os.path.join(os.path.dirname(source), link[0]))
        path = OUTSIDE.get(path, path)
        if path not in OUTSIDE.values() and not path.startswith("docs/"):
            return link[0]
        return os.path.relpath(path.removeprefix("docs/"), os.path.dirname(page) or ".")

    return LINK.sub(target, text)


def _models():
    return {card.parent.name: card.parent for card in sorted(ROOT.glob("zoo/*/card.json"))}


def _zoo_index(models):
    entries = []
    for name, folder in models.items():
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        metric = card["metric"]
        number = f"{metric['value']:.3f} ± {2 * metric['standard_error']:.3f} {metric['units']}"
        entries.append(
            f'<a href="{name}/"><img alt="samples of {name}" loading="lazy" src="{name}.png">'
            f"<strong>{name}</strong>{card['data']['name']}<br>{number}</a>"
        )
    return f"""# The zoo

{len(models)} pretrained models, checked by their hashes before they load, each with its recipe.

```python
from tfflows import zoo

flow = zoo.load("glow-mnist")
x = flow.sample(16, seed=0)
```

`tfflows zoo list` names them, `tfflows zoo verify --all` computes their numbers again.
[Images and the zoo](../guides/images.md) is the guide,
[all numbers](../results/zoo.md) are one table.

<div class="models">
{chr(10).join(entries)}
</div>
"""


def _model_page(folder):
    """README.md of a model, which is written from its card, and the recipe."""
    name = folder.name
    text = (folder / "README.md").read_text(encoding="utf-8")
    text = text.replace("](samples.png)", f"]({name}.png){{ width=60% }}")
    recipe = (folder / "recipe.yaml").read_text(encoding="utf-8")
    return f"{text}\n## Recipe\n\n```yaml\n{recipe}```\n"


def _page(module):
    return f"{module.partition('.')[2].replace('.', '-') or 'flow'}.md"


def _source(module):
    path = ROOT / Path(*module.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.exists():
            return ast.parse(file.read_text(encoding="utf-8"))
    return ast.parse("")


def _public_names(module):
    """`__all__`, or without one every public class and function; no packages and constants."""
    tree = _source(module)
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            names = ast.literal_eval(node.value)
            break
    else:
        kinds = ast.ClassDef | ast.FunctionDef
        names = [n.name for n in tree.body if isinstance(n, kinds) and n.name[0] != "_"]
    found = _docstrings(module)
    return {name: found[name] for name in sorted(names) if name in found}


def _docstrings(module):
    """The first lines of the docstrings of all classes and functions at or below a module."""
    path = ROOT / Path(*module.split("."))
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    if module == "tfflows":
        files = [PACKAGE / "flow.py", PACKAGE / "saving.py"]
    found = {}
    for file in filter(Path.exists, files):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_":
                found.setdefault(node.name, (ast.get_docstring(node) or "").partition("\n\n")[0])
    return found


def _summary(module):
    return (ast.get_docstring(_source(module)) or "").partition("\n\n")[0].replace("\n", " ")


def _api_index():
    rows = [f"| [`{m}`]({_page(m)}) | {_summary(m)} |" for m in API]
    return "\n".join(["# API", "", "| module | |", "|---|---|", *rows, ""])


def _api_page(module):
    names = _public_names(module)
    text = [f"# {module}", "", ast.get_docstring(_source(module)) or "", ""]
    if names:
        text += ["| name | |", "|---|---|"]
    for name, first in names.items():
        sentence = first.replace("\n", " ").replace("|", "\\|")
        text.append(f"| [`{name}`](#{module}.{name}) | {sentence} |")
    for name in names:
        text += ["", f"::: {module}.{name}"]
    return "\n".join([*text, ""])
