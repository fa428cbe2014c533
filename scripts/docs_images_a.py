"""Pictures of the guides on tables, conditions, images, autoregressive flows and own layers.

    python scripts/docs_images_a.py [table conditions images autoregressive own-layer]

Each function runs the Python blocks of its guide, in a temporary folder, and draws what they made,
so that a picture shows what its page computes.
"""

import contextlib
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from keras import ops
from matplotlib.figure import Figure

import tfflows
from tfflows import zoo
from tfflows.datasets import sample_toy
from tfflows.evaluation.plots import grid_density

DOCS = Path(__file__).parents[1] / "docs"
COLORS = ("#3568b0", "#d9702f", "#3a9a6b")
SKIPPED = re.compile(r"<!-- not run -->\s*```python\n.*?```", re.DOTALL)


def run_guide(name: str) -> dict:
    """The names that the blocks of a guide leave behind."""
    text = SKIPPED.sub("", (DOCS / "guides" / f"{name}.md").read_text())
    names = {"__name__": "guide"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(compile(code, f"{name}.md", "exec"), names)
    return names


def make_figure(columns: int, rows: int = 1, size: float = 2.6, **kwargs):
    """A figure and its panels in one flat array."""
    figure = Figure(figsize=(size * columns, size * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs).ravel()


def save(figure: Figure, name: str) -> None:
    """Write docs/images/NAME.png."""
    figure.savefig(DOCS / "images" / f"{name}.png", dpi=110)


def plain(panel, title: str = "") -> None:
    """Leave a panel its frame and a title."""
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_title(title, fontsize=9)


def numpy(tensor) -> np.ndarray:
    """A tensor of the backend as an array."""
    return ops.convert_to_numpy(tensor)


def table() -> None:
    """Marginals of data and samples, and the joint density of two columns."""
    names = run_guide("table")
    data, samples = names["x_test"], numpy(names["samples"])
    figure, panels = make_figure(6, size=2.1)
    for i, column in enumerate(names["COLUMNS"]):
        low, high = np.quantile(data[:, i], [0.002, 0.99])
        bins = np.linspace(low, high, 40)
        panels[i].hist(data[:, i], bins, density=True, color="lightgrey", label="data")
        panels[i].hist(
            samples[:, i],
            bins,
            density=True,
            histtype="step",
            color=COLORS[0],
            lw=1.5,
            label="flow",
        )
        panels[i].set_yticks([])
        panels[i].tick_params(labelsize=7)
        panels[i].set_title(column, fontsize=9)
    panels[0].legend(fontsize=7, frameon=False)
    for panel, rows, title, color in (
        (panels[4], data, "data", "grey"),
        (panels[5], samples, "samples", COLORS[0]),
    ):
        positive = rows[(rows[:, 0] > 0) & (rows[:, 3] > 0)]
        panel.scatter(positive[:, 0], positive[:, 3], s=2, color=color, alpha=0.5, linewidths=0)
        panel.set(xscale="log", yscale="log", xlim=(25, 350), ylim=(30, 1200))
        panel.minorticks_off()
        panel.set_xticks([50, 100, 200], ["50", "100", "200"])
        panel.set_yticks([100, 1000], ["100", "1000"])
        panel.tick_params(labelsize=7)
        panel.set_title(f"{title}: price against area", fontsize=9)
    save(figure, "guide-table")


def conditions() -> None:
    """Data, samples and posterior of three classes; a density given a number."""
    names = run_guide("conditions")
    figure, panels = make_figure(4)
    sampled = numpy(names["samples"])
    for panel, points, title in (
        (panels[0], names["x_val"], "data"),
        (panels[1], sampled, "samples given the class"),
    ):
        for k, color in enumerate(COLORS):
            rows = points[names["label_val"] == k]
            panel.scatter(*rows.T, s=3, color=color, linewidths=0)
        panel.set(xlim=(-4, 4), ylim=(-4, 4))
        plain(panel, title)
    axis = np.linspace(-4, 4, 200, dtype="float32")
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    posterior = np.exp(names["log_posterior"](grid))
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLORS])
    certainty = (posterior.max(axis=1, keepdims=True) - 1 / 3) * 1.5
    image = certainty * rgb[posterior.argmax(axis=1)] + 1 - certainty
    panels[2].imshow(np.clip(image, 0, 1).reshape(200, 200, 3), origin="lower")
    plain(panels[2], "most likely class")
    t_axis, y_axis = np.linspace(-1, 1, 120), np.linspace(-1.6, 1.6, 160)
    t, y = np.meshgrid(t_axis, y_axis)
    log_p = names["regression"].log_prob(
        y.reshape(-1, 1).astype("float32"), t.reshape(-1, 1).astype("float32")
    )
    density = np.minimum(np.exp(numpy(log_p)).reshape(t.shape), 2.5)
    panels[3].imshow(
        density, origin="lower", extent=(-1, 1, -1.6, 1.6), aspect="auto", cmap="magma"
    )
    panels[3].set_title("p(y | t)", fontsize=9)
    panels[3].set(xlabel="t", ylabel="y")
    save(figure, "guide-conditions")


def mosaic(images, columns: int) -> np.ndarray:
    """Images `[n, 28, 28, 1]` side by side as one array of grey levels."""
    images = np.clip(numpy(images)[..., 0], 0, 255)
    rows = len(images) // columns
    grid = images[: rows * columns].reshape(rows, columns, 28, 28).swapaxes(1, 2)
    return grid.reshape(rows * 28, columns * 28)


def images() -> None:
    """First samples of six models of the zoo, and images edited by latents."""
    figure, panels = make_figure(3, 2)
    names = ("glow-mnist", "multiscale-realnvp-mnist", "jet-mnist", "nice-mnist")
    for panel, name in zip(panels, (*names, "glow-fashion-mnist"), strict=False):
        x = zoo.load(name).sample(50, seed=0, temperature=0.7)
        panel.imshow(mosaic(x, 10), cmap="gray")
        plain(panel, name)
    classes = np.tile(np.eye(10, dtype="float32"), (5, 1))
    x = zoo.load("tarflow-mnist").sample(50, classes, seed=0, temperature=0.7)
    panels[5].imshow(mosaic(x, 10), cmap="gray")
    plain(panels[5], "tarflow-mnist")
    figure.set_size_inches(9, 3.4)
    save(figure, "guide-images")

    names = run_guide("images")
    rows = np.concatenate([numpy(names["line"]), names["x"][:8], numpy(names["bolder"])])
    figure, (panel,) = make_figure(1)
    panel.imshow(mosaic(rows, 8), cmap="gray")
    plain(panel)
    figure.set_size_inches(6, 2.4)
    save(figure, "guide-images-latents")


def autoregressive() -> None:
    """Two spirals under one layer and under MAF, and the Jacobian of a trained layer."""
    x = sample_toy("2spirals", 50_000, seed=0)
    one_layer = tfflows.models.MADEFlow((2,), hidden_units=[64, 64])
    one_layer.compile("adam")
    one_layer.fit(x, batch_size=500, epochs=5, verbose=0)
    maf = zoo.load("maf-2spirals")
    figure, panels = make_figure(5)
    limits = [[-4, 4], [-4, 4]]
    counts = [np.histogram2d(*p.T, 150, limits)[0] for p in (x, numpy(maf.sample(50_000, seed=0)))]
    titles = ("data", "one layer", "MAF: density", "MAF: samples")
    pictures = (counts[0], grid_density(one_layer), grid_density(maf), counts[1])
    for panel, picture, title in zip(panels, pictures, titles, strict=False):
        panel.imshow(picture.T, origin="lower", cmap="inferno")
        plain(panel, title)
    names = run_guide("autoregressive")
    panels[4].imshow(_jacobian(names["made"], names["x_val"][:200]), cmap="Blues")
    plain(panels[4], "mean |dz_i / dx_j|, 8 elements")
    save(figure, "guide-autoregressive")


def _jacobian(flow, x, step=1e-2):
    """Mean |dz_i/dx_j| by differences, square roots of them, `[i, j]`."""
    columns = []
    for j in range(x.shape[1]):
        shift = np.zeros_like(x)
        shift[:, j] = step
        change = numpy(flow.encode(x + shift)) - numpy(flow.encode(x - shift))
        columns.append(np.abs(change / (2 * step)).mean(axis=0))
    return np.sqrt(np.stack(columns, axis=1))


def own_layer() -> None:
    """The map of a trained layer, and the densities that it gives."""
    names = run_guide("own-layer")
    flow, x = names["flow"], names["x"][8000:]
    figure, panels = make_figure(3, size=2.8)
    line = np.linspace(-15, 15, 601, dtype="float32")
    z = numpy(flow.encode(np.stack([line, line], axis=1)))
    log_p = list(_marginals(flow, line))
    for k in range(2):
        panels[0].plot(line, z[:, k], color=COLORS[k], label=f"column {k}")
        panel = panels[1 + k]
        panel.hist(x[:, k], np.linspace(-15, 15, 90), density=True, color="lightgrey", label="data")
        panel.plot(line, np.exp(log_p[k]), color=COLORS[k], label="flow")
        panel.set(title=f"column {k}", yscale="log", ylim=(1e-3, 1.5))
        panel.legend(fontsize=7, frameon=False)
    panels[0].set(title="z(x)", xlabel="x")
    panels[0].legend(fontsize=7, frameon=False)
    for panel in panels:
        panel.tick_params(labelsize=7)
        panel.title.set_fontsize(9)
    save(figure, "guide-own-layer")


def _marginals(flow, line):
    """Log-densities of both columns, which are independent: log p(x, 0) less a constant."""
    step = line[1] - line[0]
    for k in range(2):
        rows = np.zeros((len(line), 2), "float32")
        rows[:, k] = line
        log_p = numpy(flow.log_prob(rows)).astype("float64")
        yield log_p - np.log(np.exp(log_p).sum() * step)


PICTURES = {
    "table": table,
    "conditions": conditions,
    "images": images,
    "autoregressive": autoregressive,
    "own-layer": own_layer,
}

if __name__ == "__main__":
    for guide in sys.argv[1:] or PICTURES:
        PICTURES[guide]()
