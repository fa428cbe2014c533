"""The examples of docstrings, `Example:` and an indented block, as code for the API's pages."""

import re
import textwrap

import griffe

EXAMPLE = re.compile(r"^Examples?:\n((?:(?:    .*)?\n)*(?:    .*))", re.MULTILINE)


class Examples(griffe.Extension):
    """Fences the code of every docstring's examples."""

    def on_object(self, *, obj, **kwargs):
        """Rewrite the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(_fenced, obj.docstring.value)


def _fenced(found):
    code = textwrap.dedent(found[1]).rstrip()
    return f"**Example**\n\n{code}" if "```" in code else f"**Example**\n\n```python\n{code}\n```"
