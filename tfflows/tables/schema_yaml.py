"""Schemas as YAML for people to read and edit."""

import io
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from tfflows.tables.columns import Column
from tfflows.tables.kinds import column_from_config
from tfflows.utils.damage import shortened
from tfflows.utils.suggest import nearest
from tfflows.utils.yaml_guard import refuse_aliases_and_depth, yaml_problem

_HEADER = """\
# The columns of a table, in order, by their names. Each has a kind:
#   real       a number; `atoms`: single values that many rows have, such as 0
#   positive   a number above 0; `atoms`, 0 among them where it occurs
#   interval   a number between `low` and `high`; `atoms`, the ends among them where they occur
#   integer    a whole number, or a multiple of `step`; `low` and `high` are bounds, or left out
#   ordinal    one of `values`, smallest first
#   category   one of `values`; `other: true` allows further ones
#   boolean    one of two `values`
#   datetime   a date or time in steps of `unit` (D, h, m, s, ms, us, ns); `format` of text as
#              strftime has it; `low` and `high` are bounds, or left out
# `missing: true` allows missing cells. `dtype` is the pandas dtype that samples come back in.
# Leave a column out by deleting it here.
"""
# One line holds so many characters of a list.
_WIDTH = 100


def dump(columns: Sequence[Column]) -> str:
    """The YAML of columns, with a comment that explains it."""
    content = CommentedMap()
    for column in columns:
        config = column.get_config()
        name = config.pop("name")
        content[name] = CommentedMap(
            {key: _flow(v) if isinstance(v, list) else v for key, v in config.items()}
        )
    yaml, stream = YAML(), io.StringIO()
    yaml.width = _WIDTH
    yaml.dump({"columns": content}, stream)
    return _HEADER + stream.getvalue()


def load(text: str, source: str) -> list[Column]:
    """The columns that YAML describes; `source` names it in errors.

    Raises:
        ValueError: text that is not such YAML; one line says where and what was expected.
    """
    try:
        refuse_aliases_and_depth(text)
        # YAML 1.2: "no" is a string, and a key given twice an error.
        content = YAML(typ="safe", pure=True).load(text)
    except Exception as error:
        raise ValueError(f"{source}: expected YAML. Received: {yaml_problem(error)}") from error
    if not isinstance(content, dict) or not isinstance(content.get("columns"), dict):
        keys = list(content) if isinstance(content, dict) else content
        hint = nearest(str(keys[0]), ["columns"]) if isinstance(keys, list) and keys else ""
        raise ValueError(
            f"{source}: expected a key `columns` with the columns by their names. "
            f"Received: {shortened(keys)}{hint}"
        )
    return [_column(name, config, source) for name, config in content["columns"].items()]


def _column(name: Any, config: Any, source: str) -> Column:
    if not isinstance(config, dict):
        raise ValueError(
            f"{source}, column {name!r}: expected keys such as `kind: real`. "
            f"Received: {shortened(config)}"
        )
    try:
        return column_from_config({**config, "name": str(name)})
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _flow(values):
    sequence = CommentedSeq(values)
    sequence.fa.set_flow_style()
    return sequence
