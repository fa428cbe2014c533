"""YAML, and settings such as "optimizer.learning_rate=1e-3" that change what it says."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tfflows.utils.damage import shortened
from tfflows.utils.yaml_guard import refuse_aliases_and_depth, yaml_problem

_MAX_CHARACTERS = 100_000


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds: nested dicts and lists of words, finite numbers, booleans and nulls.

    Raises:
        ValueError: it is not a YAML file, or one of aliases, of more than 100,000 characters, of
            more than 30 levels, or of other values; each by its place.
        OSError: it cannot be read.
    """
    path = Path(path)
    if path.stat().st_size > 4 * _MAX_CHARACTERS:  # UTF-8 has at most four bytes per character
        raise ValueError(_too_long(path))
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a YAML file: {error}") from error
    return _load(text, str(path), "is not a YAML file")


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
    path = setting.partition("=")[0]
    return _load(text, shortened(setting), "the value is not YAML", path)


def _load(text, source, fault, path=""):
    """Checked content of YAML. Its size and depth are checked first, because parsers recurse."""
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(_too_long(source))
    try:
        refuse_aliases_and_depth(text)
        content = _yaml().load(text)
    # ruamel raises what Python's own constructors do: ValueError for 2001-13-45, and others.
    except Exception as error:
        raise ValueError(f"{source}: {fault}: {yaml_problem(error)}") from error
    _refuse_other_values(content, path, source)
    return content


def _too_long(source):
    return f"{source}: expected at most {_MAX_CHARACTERS:,} characters of YAML"


def _refuse_other_values(value, path, source):
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise ValueError(
                    f"{source}: {path or 'the whole'}: keys must be words. Received: {_shown(key)}"
                )
            _refuse_other_values(part, f"{path}.{key}".lstrip("."), source)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            _refuse_other_values(part, f"{path}.{place}".lstrip("."), source)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{source}: {path}: expected a finite number. Received: {value}")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(
            f"{source}: {path}: expected an integer of at most 63 bits. Received: {_shown(value)}"
        )
    elif not isinstance(value, str | int | float | None):
        raise ValueError(
            f"{source}: {path}: expected a word, a number, true, false, null, a list or keys. "
            f"Received: {_shown(value)}"
        )


def _shown(value):
    if isinstance(value, int) and value.bit_length() > 200:  # repr refuses thousands of digits
        return f"one of {value.bit_length():,} bits"
    return shortened(value)


def _yaml():
    # YAML 1.2: 1e-3 is a number, "no" a string, and a key given twice an error.
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    return yaml
