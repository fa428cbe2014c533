"""Checked sections of files that people write or that come from elsewhere: recipes, model cards."""

import inspect
import reprlib
import typing

import pydantic

from tfflows.utils.suggest import nearest


class Section(pydantic.BaseModel):
    """A frozen part of a file that takes its own keys, their own types and finite numbers alone."""

    model_config = pydantic.ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=()
    )


def readable_error(
    error: pydantic.ValidationError, schema: type[Section], source: str, prefix: str = ""
) -> ValueError:
    """A ValueError with a line for each wrong key: its path, what came, what was wanted.

    Args:
        error: of a validation by `schema`.
        schema: whose keys are named where an unknown one came.
        source: what was read, such as a file's path.
        prefix: path of the keys of `schema` in the file.
    """
    lines = []
    for problem in error.errors():
        location = [str(part) for part in problem["loc"]]
        path = ".".join(filter(None, [prefix, *location])) or "the whole"
        if problem["type"] == "extra_forbidden":
            names = _fields_at(schema, location[:-1])
            known = f"; there are {', '.join(names)}" if names else ""
            lines.append(f"{path}: no such key{nearest(location[-1], names)}{known}")
        elif problem["type"] == "missing":
            lines.append(f"{path}: is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            received = "" if "Received" in message else f". Received: {_shown(problem['input'])}"
            lines.append(f"{path}: {message}{received}")
    return ValueError("\n".join(f"{source}: {line}" for line in dict.fromkeys(lines)))


def _shown(value):
    """A repr of a line at most, whatever the value: reprlib stops where repr would go on."""
    shorten = reprlib.Repr()
    shorten.maxstring = shorten.maxother = shorten.maxlong = 200
    return " ".join(shorten.repr(value).split())


def _fields_at(schema, location):
    for part in location:
        field = schema.model_fields.get(part)
        annotation = None if field is None else field.annotation
        options = [a for a in (annotation, *typing.get_args(annotation)) if inspect.isclass(a)]
        schema = next((a for a in options if issubclass(a, Section)), None)
        if schema is None:
            return []
    return list(schema.model_fields)
