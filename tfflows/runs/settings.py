"""YAML, and settings such as "optimizer.learning_rate=1e-3" that change what it says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds.

    Raises:
        ValueError: it is not a YAML file.
        OSError: it cannot be read.
    """
    try:
        return _yaml().load(Path(path).read_text())
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a YAML file: {error}") from error


def write_yaml(content: Any, path: str | Path) -> None:
    """Write nested dicts and lists to a YAML file."""
    _yaml().dump(content, Path(path))


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Nested dicts from "a.b=c"; c is YAML."""
    content = {}
    for setting in settings:
        apply_setting(content, setting)
    return content


def apply_setting(content: Any, setting: str) -> None:
    """Set the value at a path, in place; a number is a place in a list.

    Args:
        content: nested dicts and lists.
        setting: "a.b=c" or "a.0.b=c"; c is YAML.

    Raises:
        ValueError: the setting has another form, or its path leads through a value.
    """
    path, equals, text = setting.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise ValueError(f"Expected a setting KEY.KEY=VALUE. Received: {setting!r}")
    for depth, name in enumerate(keys):
        key: Any = name
        parent = ".".join(keys[:depth])
        if isinstance(content, list):
            if not name.isdecimal() or int(name) >= len(content):
                raise ValueError(
                    f"{setting}: {parent} is a list of {len(content)}: no {name} in it"
                )
            key = int(name)
        elif not isinstance(content, dict):
            raise ValueError(f"{setting}: {parent} is a value and has no keys")
        if depth == len(keys) - 1:
            content[key] = _value(text, setting)
            return
        if isinstance(content, dict) and content.get(key) is None:
            content[key] = {}
        content = content[key]


def _value(text, setting):
    try:
        return _yaml().load(text)
    except YAMLError as error:
        raise ValueError(f"{setting}: the value is not YAML") from error


def _yaml():
    # YAML 1.2: 1e-3 is a number, "no" a string, and a key given twice an error.
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    return yaml
