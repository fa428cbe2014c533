"""Adapters, read without importing them, and the virtual environments they ask for."""

import ast
import hashlib
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = Path(__file__).resolve().parent / "adapters"
ENVIRONMENTS = ROOT / ".benchmark" / "environments"
GROUPS = ("tensorflow", "jax")


@dataclass(frozen=True)
class Adapter:
    """What an adapter file says about itself; see the package `adapters`.

    `modes` has the names of the modes of each architecture.
    """

    name: str
    path: Path
    requirements: tuple[str, ...]
    group: str
    modes: dict[str, tuple[str, ...]]

    @property
    def library(self) -> str:
        """The library's name: the file's, up to its first underscore."""
        return self.name.split("_")[0]


def read_adapter(path: Path) -> Adapter:
    """The adapter in a file, from its literals and the names of its functions."""
    values, architectures = {}, set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("REQUIREMENTS", "GROUP", "MODES"):
                values[name] = ast.literal_eval(node.value)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("build_"):
            architectures.add(node.name.removeprefix("build_"))
    modes = values.get("MODES")
    if not isinstance(modes, dict):
        modes = dict.fromkeys(architectures, modes)
    missing = {"REQUIREMENTS", "GROUP", "MODES"} - set(values)
    if missing or values["GROUP"] not in GROUPS or not modes or set(modes) != architectures:
        raise ValueError(
            f"An adapter requires REQUIREMENTS, MODES, a GROUP out of {GROUPS} and a function "
            f"build_<architecture>. Received: {path} with {values}, {sorted(architectures)}"
        )
    return Adapter(
        path.stem,
        path.resolve(),
        tuple(values["REQUIREMENTS"]),
        values["GROUP"],
        {architecture: tuple(names) for architecture, names in modes.items()},
    )


def find_adapters(folder: Path = ADAPTERS) -> list[Adapter]:
    """The adapters in a folder, tfflows' first."""
    paths = (path for path in folder.glob("*.py") if not path.stem.startswith("_"))
    adapters = [read_adapter(path) for path in sorted(paths)]
    return sorted(adapters, key=lambda adapter: adapter.library != "tfflows")


def choose_adapters(adapters: list[Adapter], wanted: list[str], architecture: str):
    """The adapters that a user names, by library or by file, and that know the architecture."""
    names = {name for adapter in adapters for name in (adapter.name, adapter.library)}
    unknown = sorted(set(wanted) - names)
    if unknown:
        raise ValueError(f"--libraries must be some of {sorted(names)}. Received: {unknown}")
    chosen = [
        adapter
        for adapter in adapters
        if architecture in adapter.modes
        and (not wanted or adapter.name in wanted or adapter.library in wanted)
    ]
    if not chosen:
        raise ValueError(f"No adapter builds {architecture!r}. Received: {wanted or sorted(names)}")
    return chosen


def make_environment(adapter: Adapter) -> str:
    """The Python of an environment with the adapter's requirements, made where there is none.

    Its folder is named after the requirements: equal ones share it, and new pins make a new one.
    """
    digest = hashlib.sha256("\n".join(adapter.requirements).encode()).hexdigest()[:8]
    folder = ENVIRONMENTS / f"{adapter.library}-{digest}"
    python, finished = folder / "bin" / "python", folder / "finished"
    if not finished.exists():
        print(f"Installing {adapter.library} into {folder} ...", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *adapter.requirements], cwd=ROOT, check=True)
        finished.touch()
    return str(python)


def worker_environment(python: str, device: str = "cpu") -> dict[str, str]:
    """The variables of a worker's process: one device for everyone, and this package importable.

    On a GPU the processes share its memory, so that none takes most of it at once.
    """
    paths = [str(ROOT / "scripts")]
    variables = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    if device == "gpu":
        paths.append(str(ROOT))  # there tfflows is not installed
        variables = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if os.environ.get("PYTHONPATH"):
        paths.append(os.environ["PYTHONPATH"])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": os.pathsep.join([str(Path(python).parent), os.environ.get("PATH", "")]),
        **variables,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def python_of(adapter: Adapter, given: dict[str, str]) -> str:
    """The Python that runs an adapter: a given one, this one where it needs nothing, or its own."""
    if adapter.library in given:
        return given[adapter.library]
    return make_environment(adapter) if adapter.requirements else sys.executable
