"""Check the links of a built site: pages, anchors and pictures exist, and nothing is fetched.

    python scripts/docs_links.py SITE

Links to other sites are allowed in text only; what a page loads must be its own.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

LOADED = {"img": "src", "script": "src", "source": "src", "iframe": "src"}


class Page(HTMLParser):
    """The anchors of a page, its links, and what it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links, self.loads = {""}, [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.update(attributes[key] for key in ("id", "name") if attributes.get(key))
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        elif tag == "link" and attributes.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(attributes["href"])
        elif attributes.get(LOADED.get(tag)):
            self.loads.append(attributes[LOADED[tag]])


def find_errors(site: Path) -> list[str]:
    """A line for each link or picture that does not exist, or that another host has."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    errors = []
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        for link in page.loads:
            if urlsplit(link).netloc:
                errors.append(f"{name}: loads {link} from another host")
        for link in page.loads + page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or (name == "404.html" and link.startswith("/")):
                continue
            target = site / urlsplit(urljoin(f"/{name}", parts.path)).path.lstrip("/")
            target = Path(unquote(str(target)))
            target = target / "index.html" if target.is_dir() else target
            if not parts.path:
                target = path
            if not target.exists():
                errors.append(f"{name}: there is no {link}")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                errors.append(f"{name}: there is no anchor {link}")
    return errors


def main():
    """Print the errors, and fail if there are any."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else "site")
    errors = find_errors(site)
    print(
        "\n".join(errors) or f"All links of {len(list(site.rglob('*.html')))} pages lead somewhere"
    )
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
