"""What `import tfflows` brings along, and which way imports run."""

import ast
import configparser
import functools
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfflows
from tfflows.utils.moved import MOVED, RENAMED

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tfflows"
FILES = sorted(PACKAGE.rglob("*.py"))
# From the top floor down; a part imports from its own floor and those below.
FLOORS = (
    {"__main__", "cli"},
    {"ray", "beam"},
    {"saving"},
    {"zoo"},
    {"runs"},
    {"anomaly", "energies", "tables", "tfp", "vae"},
    {"evaluation", "testing"},
    {"models"},
    {"flow"},
    {"training", "serving"},
    {"layers"},
    {"distributions"},
    {"networks"},
    {"transforms"},
    {"ode"},
    {"backend"},
    {"datasets"},
    {"utils"},
)
HEAVY = (
    "tensorflow_datasets", "tensorflow_probability", "matplotlib", "sklearn", "click", "pyarrow",
    "pandas", "ray",
)  # fmt: skip
CODE = """
import json, sys, time, keras
before, start = set(sys.modules), time.process_time()
import tfflows
seconds = time.process_time() - start
names = sorted(keras.saving.get_custom_objects())
new = sorted({m.partition(".")[0] for m in set(sys.modules) - before})
print(json.dumps({"seconds": seconds, "names": names, "new": new, "all": sorted(sys.modules)}))
"""


@functools.cache
def imported(backend):
    """What a fresh process says of `import tfflows` after `import keras`."""
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_import_brings_nothing_heavy(backend):
    found = imported(backend)
    assert not set(HEAVY) & set(found["new"])
    if backend == "jax":
        assert "tensorflow" not in found["new"]
    is_busy = os.getloadavg()[0] > 2 * os.cpu_count()
    assert found["seconds"] < (2.0 if is_busy else 0.5)


def test_import_registers_every_class():
    import keras

    names = imported("tensorflow")["names"]
    abstract = {"AmortizedLayer", "FlowLayer", "Coupling", "DataDependentLayer"}
    abstract |= {"Distribution", "ClassConditional"}
    for part in (tfflows.layers, tfflows.models, tfflows.networks, tfflows.distributions):
        for name, value in vars(part).items():
            if isinstance(value, type) and issubclass(value, keras.Layer) and name[0] != "_":
                assert name in abstract or f"tfflows>{name}" in names, name
    for name in tfflows.transforms.__all__:
        assert name == "Transform" or f"tfflows>{name}" in names, name
    assert {"tfflows>Flow", "tfflows>FlowMatching", "tfflows>MaximumLikelihood"} <= set(names)


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_other_backends_are_refused_at_import(backend):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", "import tfflows"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.search(rf"backends tensorflow and jax: .*KERAS_BACKEND.*Received: '{backend}'", last)


def test_every_public_part_is_there_after_import_alone():
    for name in tfflows.__all__:
        assert getattr(tfflows, name) is not None
    assert set(tfflows.__all__) <= set(dir(tfflows))
    assert tfflows.evaluation.evaluate.__module__ == "tfflows.evaluation.evaluation"


@pytest.mark.parametrize("old", sorted(MOVED))
def test_a_module_that_moved_is_refused_by_its_new_name(old):
    package, _, name = old.rpartition(".")
    with pytest.raises(ImportError, match=f"{old} has moved: import {MOVED[old]}$"):
        importlib.import_module(old)
    importlib.import_module(MOVED[old])
    if package == "tfflows":
        with pytest.raises(AttributeError, match=f"it has moved to {MOVED[old]}"):
            getattr(tfflows, name)


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_a_class_that_was_renamed_is_refused_by_its_new_name(old):
    package, _, name = old.rpartition(".")
    with pytest.raises(AttributeError, match=f"it is now {RENAMED[old]}$"):
        getattr(importlib.import_module(package), name)
    with pytest.raises(ImportError, match=f"{old} is now {RENAMED[old]}$"):
        exec(f"from {package} import {name}")
    package, _, name = RENAMED[old].rpartition(".")
    assert inspect.isclass(getattr(importlib.import_module(package), name)) or name == "load_model"


def test_a_name_that_never_was_is_an_ordinary_error():
    with pytest.raises(AttributeError, match=r"has no attribute 'never'$"):
        _ = tfflows.never


def test_the_wheel_has_every_package():
    """An editable install finds those that setup.cfg forgets."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES}
    assert listed == sorted(found | {"tfflows.zoo.data"})


def _modules_of(path, type_checking=True):
    """The tfflows modules that a file imports, anywhere in it."""
    tree = ast.parse(path.read_text())
    skipped = set()
    if not type_checking:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                skipped |= {id(child) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("tfflows."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfflows"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if _file_of(full) else node.module


def _file_of(module):
    base = ROOT / Path(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def test_imports_run_one_way():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    upward = []
    for path in FILES:
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for module in _modules_of(path):
            part = [*module.split("."), "__init__"][1]
            if part != "__init__" and floor[part] < floor[own]:
                upward.append(f"{path.relative_to(ROOT)} imports {module}")
    assert upward == []


def test_imports_make_no_circle():
    graph = {path: set() for path in FILES if path.parent != PACKAGE or path.stem != "__init__"}
    for path in graph:
        found = {_file_of(module) for module in _modules_of(path, type_checking=False)}
        graph[path] = found & set(graph)
    done, stack = set(), []

    def visit(path):
        if path in stack:
            circle = [str(p.relative_to(ROOT)) for p in stack[stack.index(path) :]]
            raise AssertionError(f"circle: {' -> '.join(circle)}")
        if path not in done:
            stack.append(path)
            for other in sorted(graph[path]):
                visit(other)
            done.add(stack.pop())

    for path in graph:
        visit(path)


def test_the_hall_is_empty():
    loose = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert loose <= {"flow", "saving", "testing"}


def test_modules_and_functions_fit_on_a_screen_or_few():
    long = []
    for path in [*FILES, *(ROOT / "scripts").rglob("*.py")]:
        text = path.read_text()
        if len(text.splitlines()) > 400:
            long.append(f"{path.relative_to(ROOT)} has {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and _lines_of_code(node) > 60:
                long.append(f"{path.relative_to(ROOT)}: {node.name} has {_lines_of_code(node)}")
    assert long == []


def _lines_of_code(node):
    """Lines of a function without its docstring."""
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines
