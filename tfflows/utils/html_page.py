"""One page of HTML without scripts, with its style and its pictures inside."""

import base64
import html
import importlib.resources
from collections.abc import Sequence


def html_page(title: str, sections: Sequence[str]) -> str:
    """The whole page of sections, which are HTML."""
    style = importlib.resources.files("tfflows.utils").joinpath("page.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def escape(value: object) -> str:
    """The text of a value, whose characters mean themselves in HTML."""
    return html.escape(str(value))


def picture(svg: str, text: str) -> str:
    """An SVG as a picture of its own, which `text` describes: ids of several would clash."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{escape(text)}" src="data:image/svg+xml;base64,{data}">'
