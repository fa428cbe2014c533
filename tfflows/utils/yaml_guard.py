"""YAML that would grow when it is loaded: aliases of aliases, levels without end."""

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from tfflows.utils.damage import one_line

MAX_DEPTH = 30


def refuse_aliases_and_depth(text: str) -> None:
    """Look through YAML before it is loaded.

    Raises:
        MarkedYAMLError: it has an alias, or more than 30 levels, by its place.
        YAMLError: it is not YAML.
    """
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, MappingStartEvent | SequenceStartEvent)
        depth -= isinstance(event, MappingEndEvent | SequenceEndEvent)
        if isinstance(event, AliasEvent):
            raise MarkedYAMLError(
                problem=f"the alias *{event.anchor} is not read: write what it stands for",
                problem_mark=event.start_mark,
            )
        if depth > MAX_DEPTH:
            raise MarkedYAMLError(
                problem=f"more than {MAX_DEPTH} levels", problem_mark=event.start_mark
            )


def yaml_problem(error: Exception) -> str:
    """What is wrong with YAML, in one line, with its place in the text."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return one_line(error)
    mark = error.problem_mark
    problem = " ".join(str(error.problem or error.context).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem[:200]}"
