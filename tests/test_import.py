"""What `import tfflows` brings along."""

import subprocess
import sys

CODE = """
import sys, keras
before = set(sys.modules)
import tfflows
heavy = ("tensorflow_datasets", "tensorflow_probability", "matplotlib", "sklearn", "click")
heavy += ("pyarrow", "pandas")
assert not [m for m in set(sys.modules) - before if m.partition(".")[0] in heavy]
abstract = ("FlowLayer", "Coupling", "DataDependentLayer", "Distribution", "ClassConditional")
names = keras.saving.get_custom_objects()
for name in tfflows.transforms.__all__:
    assert name == "Transform" or f"tfflows>{name}" in names, name
for part in (tfflows.layers, tfflows.models, tfflows.networks, tfflows.distributions):
    for name, value in vars(part).items():
        if isinstance(value, type) and issubclass(value, keras.Layer) and name[0] != "_":
            assert name in abstract or f"tfflows>{name}" in names, name
assert "tfflows>Flow" in names
import tfflows.zoo
"""


def test_import_registers_every_class_and_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wheel_has_every_package():
    """An editable install finds those that setup.cfg forgets."""
    import configparser
    from pathlib import Path

    root = Path(__file__).parents[1]
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    listed = config["options"]["packages"].split()
    found = {path.parent.relative_to(root) for path in root.glob("tfflows/**/*.py")}
    names = {".".join(folder.parts) for folder in found} | {"tfflows.zoo"}
    assert listed == sorted(names)


def test_imports_run_one_way():
    """cli -> export, evaluation -> models -> flow -> layers -> networks, distributions, transforms;
    transforms import nothing above."""
    import ast
    import itertools
    from pathlib import Path

    import tfflows

    root = Path(tfflows.__file__).parent
    above = {"cli", "recipes", "zoo", "export", "evaluation", "models", "flow", "training"}
    above |= {"training_run", "divergence", "scoring", "serving", "datasets"}
    names = ("distributions", "layers", "networks", "transforms")
    for path in itertools.chain(*(root.glob(f"{name}/*.py") for name in names)):
        forbidden = above | ({"layers"} if "layers" not in path.parts else set())
        if "distributions" not in path.parts and "layers" not in path.parts:
            forbidden |= {"distributions"}
        if "transforms" in path.parts:
            forbidden |= {"networks"}
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                parts = module.split(".")
                assert parts[0] != "tfflows" or not set(parts[1:2]) & forbidden, (path, module)


def test_only_commands_import_the_zoo():
    import ast
    from pathlib import Path

    import tfflows

    root = Path(tfflows.__file__).parent
    for path in root.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        found = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                found += [f"{node.module}.{alias.name}" for alias in node.names]
        uses = any(name.startswith("tfflows.zoo") for name in found)
        assert not uses or path.name.startswith("cli"), path
    for path in (root.parent / "zoo").glob("*.py"):  # and the zoo imports no commands
        assert "tfflows.cli" not in path.read_text()
