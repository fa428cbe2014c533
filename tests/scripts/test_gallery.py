"""The page of the zoo's models: whole, escaped, and shown by a browser without a complaint."""

import html
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from zoo_files import sign

from tfflows import zoo
from tfflows.runs.curve import CURVE, read_epochs
from tfflows.zoo import sources
from tfflows.zoo.model_card import FILES, read_card

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

# Frames have the width that they are given, where a window of a browser has a least one.
READ_FRAMES = """
onload = () => {
  const pages = [...document.querySelectorAll("iframe")].map(frame => frame.contentDocument)
  document.body.textContent = "FOUND" + JSON.stringify(pages.map(page => ({
    title: page.title,
    images: [...page.images].map(image => image.naturalWidth),
    width: page.documentElement.clientWidth,
    content: page.documentElement.scrollWidth,
  }))) + "FOUND"
}
"""


@pytest.fixture(autouse=True)
def wheel(tmp_path, monkeypatch):
    """An empty wheel, and an empty cache."""
    monkeypatch.setenv("TFFLOWS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFFLOWS_ZOO", raising=False)
    monkeypatch.setattr(sources, "WHEEL", tmp_path / "wheel")
    monkeypatch.syspath_prepend(SCRIPTS)
    return tmp_path / "wheel"


@pytest.fixture
def copy(zoo_model, wheel):
    return shutil.copytree(zoo_model, wheel / zoo_model.name)


def page():
    from gallery import gallery

    return gallery(zoo.list_models())


class Tags(HTMLParser):
    """The tags of a page and their attributes; that each is closed is checked."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_says_what_the_cards_say(copy, wheel):
    card = read_card(shutil.copytree(copy, wheel / "other"))
    sign(wheel / "other", name="other", published=None)
    text = page()
    plain = html.unescape(text)
    for name in ("realnvp-digits", "other"):
        for wanted in (
            f'<article id="{name}">',
            f'<a href="#{name}">{name}</a>',
            f'flow = zoo.load("{name}")',
            f"tfflows zoo evaluate {name}",
            f"Training curve of {name}: from ",
        ):
            assert wanted in plain
    metric = (
        f"{card.metric.value:.3f}\u00a0\u00b1\u00a0{2 * card.metric.standard_error:.3f} bits/dim"
    )
    assert plain.count(metric) == 4
    assert plain.count("1.5 bits/dim (Somebody et al. 2020, table 1)") == 1
    for wanted in ("digits, given one of 10 classes", "CC BY 4.0", f"{card.parameters:,}",
                   "2 epochs", card.training.machine, "Two epochs."):  # fmt: skip
        assert plain.count(wanted) >= 2


def test_the_page_is_whole_and_asks_for_nothing(copy):
    text = page()
    tags = Tags(text)
    assert tags.all("html") == [{"lang": "en"}]
    assert "<title>tfflows: the models of the zoo</title>" in text
    assert "prefers-color-scheme: dark" in text
    images = tags.all("img")
    assert len(images) == 1
    assert all(
        image["src"].startswith("data:image/png;base64,") and image["alt"] for image in images
    )
    links = [attributes["href"] for tag in ("a", "link") for attributes in tags.all(tag)]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "realnvp-digits" in {attributes.get("id") for _, attributes in tags.tags}
    assert not tags.all("script")
    assert not re.search(r"https?://|url\(|@import", text)
    assert all(attributes["aria-label"] for attributes in tags.all("svg") if "role" in attributes)


def test_text_of_cards_is_escaped(copy):
    evil = "<script>alert('1')</script>\"&{name}"
    card = read_card(copy)
    sign(
        copy,
        limitations=evil,
        family=evil,
        data=card.data.model_copy(update=dict.fromkeys(("name", "source", "licence"), evil)),
        training=card.training.model_copy(update={"machine": evil}),
        published=card.published.model_copy(update={"source": evil}),
    )
    text = page()
    assert not Tags(text).all("script")
    assert "<script" not in text
    assert html.unescape(text).count(evil) == 10  # the family and the data's name more than once


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("samples.png", b"no picture", r"samples\.png is not a picture"),
        (CURVE, b'{"epoch": 1, "seconds": 1}\n', r"metrics\.jsonl, line 1: val_nll: Field req"),
        (CURVE, b"{", r"line 1: the whole: Invalid JSON"),
        (CURVE, b'{"epoch": 1, "val_nll": NaN, "seconds": 1}\n', "no epoch with a finite val_nll"),
        (CURVE, b'{"epoch": 7, "val_nll": 1, "seconds": 1}\n', "Received: epoch 7"),
    ],
)
def test_a_file_that_cannot_be_shown_is_named(copy, name, content, message):
    (copy / name).write_bytes(content)
    with pytest.raises(
        ValueError, match=f"realnvp-digits cannot be shown: .*{name} is not the file"
    ):
        page()
    sign(copy)
    with pytest.raises(ValueError, match=rf"realnvp-digits cannot be shown: .*{message}"):
        page()


def test_a_broken_model_stops_the_script_and_leaves_the_page_as_it_was(copy, tmp_path, monkeypatch):
    import gallery

    out = tmp_path / "made" / "index.html"
    monkeypatch.setattr(sys, "argv", ["gallery.py", "--out", str(out)])
    gallery.main()
    whole = out.read_bytes()
    assert whole.decode() == page()
    (copy / "card.json").write_text("{")
    with pytest.raises(
        SystemExit, match=r"realnvp-digits cannot be shown: .*card\.json is not a card"
    ):
        gallery.main()
    assert out.read_bytes() == whole
    assert list(out.parent.iterdir()) == [out]
    shutil.rmtree(copy)
    gallery.main()
    assert "There is no model in the zoo yet" in out.read_text()


def test_a_model_has_the_curve_of_its_run(zoo_run, zoo_model):
    assert CURVE in FILES
    assert (zoo_model / CURVE).read_bytes() == (zoo_run / CURVE).read_bytes()
    rows = [json.loads(line) for line in (zoo_run / CURVE).read_text().splitlines()]
    epochs = read_epochs(zoo_model)
    assert [epoch.val_nll for epoch in epochs] == [row["val_nll"] for row in rows]
    assert [epoch.nll for epoch in epochs] == [row["nll"] for row in rows]


def test_huge_values_of_early_epochs_do_not_squash_the_curve():
    from gallery_curve import PLOT_HEIGHT, draw_curve, limits

    nll = [1e19, np.nan, 50.0, *np.linspace(3.0, 2.0, 40)]
    low, high, is_cut = limits(np.asarray(nll))
    assert is_cut
    assert low < 2.0 < high < 4.0
    epochs = list(range(1, len(nll) + 1))
    svg, cut = draw_curve(epochs, {"validation": nll}, len(nll), "nats", 'a "b" <c>')
    assert cut == high
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in svg
    assert ">training<" not in svg
    path = re.search(r'class="validation" d="(M[\d.-]+ [^"]*)"/>\n</svg>', svg).group(1)
    heights = [float(y) for y in re.findall(r"[ML][\d.-]+ ([\d.-]+)", path)]
    assert len(heights) == len(nll) - 1
    assert path.count("M") == 2
    assert min(heights) >= -9 * PLOT_HEIGHT
    assert 0.9 * PLOT_HEIGHT < max(heights) < PLOT_HEIGHT
    assert min(heights[5:]) < 0.2 * PLOT_HEIGHT


@pytest.mark.parametrize("nll", [[2.0], [2.0, 2.0], [5.0, 3.0], [9.0, -np.inf, np.inf, 1.0]])
def test_short_and_flat_curves_are_drawn_whole(nll):
    from gallery_curve import draw_curve

    curves = {"training": nll, "validation": nll}
    svg, cut = draw_curve(list(range(1, len(nll) + 1)), curves, len(nll), "bits/dim", "label")
    assert cut is None
    assert "nan" not in svg
    assert "inf" not in svg


@pytest.mark.skipif(CHROMIUM is None, reason="requires chromium on the PATH")
def test_a_browser_shows_the_page_at_any_width(copy, wheel, tmp_path):
    for folder in filter(zoo.is_model, (ROOT / "zoo").iterdir()):
        shutil.copytree(folder, wheel / folder.name)
    sign(copy, limitations=f"{'x' * 500} <script>console.error(1)</script><img src=http://a.b/c>")
    shown = [(1280, "light"), (390, "dark"), (320, "light")]
    harness = "<!DOCTYPE html><title>frames</title><body>"
    for width, scheme in shown:
        style = f'style="color-scheme: {scheme}"'
        harness += f'<iframe width="{width}" {style} srcdoc="{html.escape(page())}"></iframe>'
    (tmp_path / "frames.html").write_text(f"{harness}<script>{READ_FRAMES}</script>")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    command += [(tmp_path / "frames.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    found = json.loads(html.unescape(done.stdout.split("FOUND")[1]))
    for (width, _), frame in zip(shown, found, strict=True):
        assert frame["title"] == "tfflows: the models of the zoo"
        assert len(frame["images"]) == len(zoo.list_models()) > 1
        assert all(frame["images"])
        assert width - 30 < frame["width"] <= width + 4  # of the frame's border
        assert frame["content"] <= frame["width"]
