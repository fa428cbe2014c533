"""JSON from elsewhere: of bounded length and depth."""

import json
from pathlib import Path
from typing import Any

MAX_BYTES = 2**24  # a model's config has kilobytes; one of long masks may have a megabyte
MAX_DEPTH = 100


def parse_json(content: bytes, source: str | Path) -> Any:
    """The value of a JSON text.

    Args:
        content: the text in UTF-8.
        source: what was read, for errors.

    Raises:
        ValueError: the text is too long or nested too deeply, or is not JSON.
    """
    check_length(len(content), source)
    try:
        value = json.loads(content.decode("utf-8"))
        is_deep = _is_deep(value)
    except RecursionError:
        is_deep = True
    except ValueError as error:
        raise ValueError(f"{source} is not JSON: {error}") from error
    if is_deep:
        raise ValueError(f"{source}: Expected JSON of at most {MAX_DEPTH} levels. Received: more")
    return value


def read_json(path: Path) -> Any:
    """The value of a JSON file; see `parse_json`."""
    check_length(path.stat().st_size, path)
    return parse_json(path.read_bytes(), path)


def check_length(length: int, source: str | Path) -> None:
    """Raise ValueError for a text that is longer than any of ours."""
    if length > MAX_BYTES:
        raise ValueError(
            f"{source}: Expected a text of at most {MAX_BYTES:,} bytes. Received: {length:,} bytes"
        )


def _is_deep(value):
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        children = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for values in children for each in values if isinstance(each, dict | list)]
        if not level:
            return False
    return True
