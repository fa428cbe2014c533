"""Write the models of the zoo as one HTML page, which holds its pictures and requests nothing.

    python scripts/gallery.py --out runs/gallery/index.html

The page has all models of `tfflows.zoo.list_models()`, from the wheel and from the cache. If a
model is not what its card says, the script stops and writes nothing.
"""

import argparse
import base64
import html
import math
import sys
from pathlib import Path

from gallery_curve import draw_curve
from PIL import Image

from tfflows import zoo
from tfflows.runs.curve import CURVE, best_epoch, read_epochs
from tfflows.utils.atomic import replaced_on_success
from tfflows.zoo.readme import metric_text, published_text

STYLE = Path(__file__).with_suffix(".css")

# The policy holds the page to its promise, whatever a card may say: no request and no script.
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tfflows: the models of the zoo</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header>
<h1>tfflows: the models of the zoo</h1>
<p>{introduction}</p>
</header>
<nav aria-label="Models">
<ul>
{index}
</ul>
</nav>
<main>
{models}
</main>
</body>
</html>
"""

PICTURES = {"flow": "Samples", "table": "Columns", "detector": "Scores", "energy": "Samples"}
_ENTRY = '<li><a href="#{name}">{name}</a> <span>{data}: {metric}</span></li>'

_MODEL = """\
<article id="{name}">
<h2>{name}</h2>
<div class="pictures">
<figure>
<img src="data:image/png;base64,{png}" width="{width}" height="{height}" alt="{alt}">
<figcaption>Samples of the model.</figcaption>
</figure>
<figure>
{curve}
<figcaption>{caption}</figcaption>
</figure>
</div>
<dl>
{facts}
</dl>
<pre><code>from tfflows import zoo
flow = zoo.load("{name}")</code></pre>
<p>On its test set, from the command line:</p>
<pre><code>tfflows zoo evaluate {name}</code></pre>
<p><a href="#">To the top</a></p>
</article>"""

_FACT = "<dt>{key}</dt><dd>{value}</dd>"


class Html(str):
    """Text that is HTML already, and is not escaped again."""


def fill(template: str, **fields: object) -> Html:
    """A template with its fields filled in, escaped unless they are Html."""
    texts = {
        key: value if isinstance(value, Html) else html.escape(str(value))
        for key, value in fields.items()
    }
    return Html(template.format(**texts))


def joined(parts: list[Html]) -> Html:
    """Pieces of HTML, one per line."""
    return Html("\n".join(parts))


def gallery(names: list[str]) -> Html:
    """The page of the models of these names.

    Raises:
        ValueError: a model is not what its card says, or one of its files cannot be read.
    """
    entries, models = [], []
    for name in names:
        try:
            card = zoo.card(name)
            models.append(_model(name, card, zoo.find(name)))
        except (ValueError, OSError) as error:
            raise ValueError(f"The model {name} cannot be shown: {error}") from error
        entries.append(fill(_ENTRY, name=name, data=_data(card), metric=_metric(card)))
    introduction = (
        "Normalizing flows, trained and ready to load. Each number is for the test set, "
        "with two standard errors."
    )
    return fill(
        _PAGE,
        style=Html(STYLE.read_text("utf-8")),
        introduction=introduction if names else "There is no model in the zoo yet.",
        index=joined(entries),
        models=joined(models),
    )


def _model(name, card, folder):
    """The part of a page on one model."""
    svg, caption = _curve(name, card, read_epochs(folder))
    width, height = _size(folder / "samples.png")
    return fill(
        _MODEL,
        name=name,
        png=Html(base64.b64encode((folder / "samples.png").read_bytes()).decode()),
        width=width,
        height=height,
        alt=f"{PICTURES[card.kind]} of {name}, a {card.family} trained on {_data(card)}",
        curve=svg,
        caption=caption,
        facts=joined([fill(_FACT, key=key, value=value) for key, value in _facts(card).items()]),
    )


def _size(path):
    try:
        with Image.open(path) as image:
            image.verify()
            if image.format != "PNG":
                raise ValueError(f"{path} must be a PNG. Received: {image.format}")
            return image.size
    except (OSError, SyntaxError) as error:  # which Pillow raises for a broken PNG
        raise ValueError(f"{path} is not a picture: {error}") from error


def _facts(card):
    """What a page says of a model, by what it is called there."""
    training = card.training
    facts = {
        "Family": card.family,
        **(_of_energy(card) if card.kind == "energy" else _of_data(card)),
    }
    if card.published:
        facts["Published"] = _signed(published_text(card.published))
    return facts | {
        "Parameters": f"{card.parameters:,}",
        "Training": f"{training.minutes:.1f} minutes, {training.epochs} epochs, weights of epoch "
        f"{training.best_epoch}",
        "Machine": training.machine,
        "Limitations": card.limitations,
    }


def _of_energy(card):
    return {
        "Density": f"{card.data.name}: {card.data.source}",
        "Licence": card.data.licence,
        "Draws": f"{_metric(card)}, of {card.metric.num_examples:,}",
    }


def _of_data(card):
    data, metric = card.data, card.metric
    meaning = {
        "nats": "mean log-likelihood, higher is better",
        "bits/dim": "lower is better",
        "AUROC": "area under the ROC, higher is better",
    }
    validate = "calibrate" if card.kind == "detector" else "validate"
    draws = f", {metric.num_draws} draws of noise each" if metric.num_draws > 1 else ""
    return {
        "Data": f"{_data(card)}: {data.source}",
        "Licence of the data": data.licence,
        "Rows": f"{data.train:,} to train, {data.validation:,} to {validate}, "
        f"{data.test:,} to test",
        "Test": f"{_metric(card)} ({meaning[metric.units]}), {metric.num_examples:,} rows{draws}",
    }


def _data(card):
    given = f", given one of {card.data.classes} classes" if card.data.classes else ""
    return f"{card.data.name}{given}"


def _metric(card):
    # Typographic, and never broken across lines.
    error = "\N{NO-BREAK SPACE}\N{PLUS-MINUS SIGN}\N{NO-BREAK SPACE}"
    return _signed(metric_text(card.metric).replace(" +- ", error))


def _signed(text):
    """A text that begins with a number, with the sign of print."""
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text


def _curve(name, card, epochs):
    """The curve in the units of the metric, and the words below it."""
    units = "bits/dim" if card.metric.units == "bits/dim" else "nats"
    scale = 1 if units == "nats" else math.prod(card.data.event_shape) * math.log(2)
    curves = {}
    if all(epoch.nll is not None for epoch in epochs):  # flow matching has no training nll
        curves["training"] = [epoch.nll / scale for epoch in epochs]
    if not all(math.isnan(epoch.val_nll) for epoch in epochs):  # as of some detectors
        curves["validation"] = [epoch.val_nll / scale for epoch in epochs]
    shown = list(curves)[-1]
    numbers = [epoch.epoch for epoch in epochs]
    best = numbers[-1] if card.kind == "energy" else best_epoch(epochs).epoch
    if best != card.training.best_epoch:
        raise ValueError(
            f"Expected the best epoch of {CURVE} to be {card.training.best_epoch}, as on the card. "
            f"Received: epoch {best}"
        )
    where, rank = f"{shown} data", "best"
    if card.kind == "energy":
        where, rank = "draws", "last"
    label = (
        f"Training curve of {name}: from {curves[shown][0]:.3f} {units} on {where} "
        f"after epoch {numbers[0]} to {curves[shown][numbers.index(best)]:.3f} after epoch "
        f"{best}, the {rank} of {len(epochs)}"
    )
    axis = {"nats": "nll, nats", "bits/dim": units}[units]
    if card.kind == "energy":
        axis = "mean of log q - log p, nats"
    svg, cut = draw_curve(numbers, curves, best, axis, label)
    cut_text = "" if cut is None else f" Values above {_signed(f'{cut:.3g}')} are cut off."
    what = {"nats": "Negative log-likelihood in nats", "bits/dim": "Bits/dim"}[units]
    if card.kind == "energy":
        what = "Mean of log q - log p over the flow's draws, at least -log Z,"
    caption = f"{what} after each epoch; lower is better. Epoch {best} is kept.{cut_text}"
    return Html(svg), caption


def main():
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/gallery/index.html"))
    out = parser.parse_args().out
    names = zoo.list_models()
    try:
        page = gallery(names)
        with replaced_on_success(out) as temporary:
            temporary.write_text(page, "utf-8")
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(f"Wrote {out}: {len(names)} models, {len(page) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
