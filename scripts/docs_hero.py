"""Draw docs/images/hero.png: densities and samples of models of the zoo.

python scripts/docs_hero.py [--out docs/images/hero.png]
"""

import argparse
from pathlib import Path

import numpy as np
from keras import ops
from matplotlib.figure import Figure

from tfflows import zoo

ROOT = Path(__file__).parents[1]
TOYS = ("nsf-2spirals", "realnvp-8gaussians")
IMAGES = (("glow-mnist", "MNIST"), ("glow-fashion-mnist", "Fashion-MNIST"))
LIMIT = 4.2  # half of the side of the square that a toy is drawn in
PIXELS = 300  # along the side of a density
GRID = 8  # images along the side of a grid
TEMPERATURE = 0.7


def density(flow) -> np.ndarray:
    """The density over the square, `[PIXELS, PIXELS]`."""
    axis = np.linspace(-LIMIT, LIMIT, PIXELS, dtype="float32")
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return np.exp(ops.convert_to_numpy(flow.log_prob(points))).reshape(PIXELS, PIXELS)


def grid(flow) -> np.ndarray:
    """Samples side by side, one image `[GRID * height, GRID * width]`."""
    x = np.asarray(flow.sample(GRID**2, seed=0, temperature=TEMPERATURE))[..., 0]
    height, width = x.shape[1:]
    x = x.reshape(GRID, GRID, height, width).swapaxes(1, 2)
    return x.reshape(GRID * height, GRID * width)


def draw(out: Path) -> None:
    """The picture: two toys, density beside samples, and two grids of images."""
    figure = Figure(figsize=(12, 4.25), dpi=110, facecolor="white")
    for row, name in enumerate(TOYS):
        flow = zoo.load(name)
        panels = [_panel(figure, column, row, 2) for column in (0, 1)]
        extent = (-LIMIT, LIMIT, -LIMIT, LIMIT)
        panels[0].imshow(np.sqrt(density(flow)), origin="lower", extent=extent, cmap="inferno")
        x = np.asarray(flow.sample(6000, seed=0))
        panels[1].scatter(x[:, 0], x[:, 1], s=0.6, c="#3f51b5", linewidths=0)
        panels[1].set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT))
    for column, (name, _) in enumerate(IMAGES, start=1):
        _panel(figure, column, 0, 1).imshow(grid(zoo.load(name)), cmap="gray")
    titles = ("log_prob and sample", *(f"sample, {data}" for _, data in IMAGES))
    for column, title in enumerate(titles):
        middle = (column + 0.5) / len(titles)
        figure.text(middle, 0.955, title, ha="center", va="center", family="monospace", size=12)
    figure.savefig(out)


def _panel(figure, column, row, per_side):
    """A square axis without ticks: one of `per_side` along a third of the picture."""
    third, height, gap = 1 / 3, 0.92, 0.006
    if per_side == 2:
        box = (column * third / 2, (1 - row) * height / 2, third / 2, height / 2)
    else:
        box = (column * third, 0, third, height)
    axis = figure.add_axes((box[0] + gap, box[1] + gap, box[2] - 2 * gap, box[3] - 2 * gap))
    axis.set(xticks=[], yticks=[], aspect="equal")
    for spine in axis.spines.values():
        spine.set_visible(False)
    return axis


def main():
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "hero.png")
    draw(parser.parse_args().out)


if __name__ == "__main__":
    main()
