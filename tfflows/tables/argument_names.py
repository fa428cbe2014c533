"""Names of columns as TensorFlow can take them for arguments."""

import keyword
import re
from collections.abc import Sequence

# Inputs of signatures beside the columns.
RESERVED = ("num_samples", "seed")
# TensorFlow Serving writes outputs of such names in Base64.
_BINARY = "_bytes"


def argument_names(names: Sequence[str]) -> dict[str, str]:
    """The name of each column as an input and output of a SavedModel.

    A name of ASCII letters, digits and underscores that begins with a letter stays as it is. In
    others, every other character becomes an underscore; names that begin with something else, that
    Python keeps for itself or that signatures have get "column_" before them, names in "_bytes" an
    underscore behind them, and a number where two would be the same.

    Example:
        >>> argument_names(["age", "hours-per-week", "5th", "class", "hours per week"])["5th"]
        'column_5th'
    """
    found = {name: name for name in names if _is_valid(name)}
    taken = {name.lower() for name in found}
    for name in names:
        if name in found:
            continue
        base = re.sub(r"[^0-9A-Za-z_]", "_", name)
        base += "_" * base.endswith(_BINARY)
        base = base if _is_valid(base) else f"column_{base}"
        unique, count = base, 1
        while unique.lower() in taken:
            count += 1
            unique = f"{base}_{count}"
        found[name] = unique
        taken.add(unique.lower())
    return {name: found[name] for name in names}


def _is_valid(name):
    is_plain = re.fullmatch(r"[A-Za-z][0-9A-Za-z_]*", name) is not None
    is_taken = keyword.iskeyword(name) or name.lower() in (*RESERVED, "self")
    return is_plain and not is_taken and not name.endswith(_BINARY)
