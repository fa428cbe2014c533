"""Pictures of samples and densities, written as files."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfflows.utils.atomic import replaced_on_success


def _figure(columns, rows, size=3.0):
    # The object interface: pyplot would keep every figure and require a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size * columns, size * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def _write(figure, path, dpi=120):
    with replaced_on_success(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format=Path(path).suffix[1:])


def image_grid(images, path: str | Path, levels: int = 256, columns: int | None = None) -> None:
    """Write images `[n, height, width, channels]` of values 0..levels-1 as one grid.

    Args:
        images: array of one or three channels.
        path: a .png, .pdf or .svg file.
        levels: number of grey levels; the largest value is white.
        columns: number of images side by side; None makes the grid about square.
    """
    images = np.asarray(images, "float64")
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"Expected `images` to have shape (n, height, width, 1 or 3). Received: {images.shape}"
        )
    figure, (axes,) = _figure(1, 1, size=6.0)
    _show_grid(axes, np.clip(images / (levels - 1), 0, 1), columns)
    _write(figure, path)


def _show_grid(axes, images, columns=None):
    """Draw images `[n, height, width, channels]` of values 0 to 1 as one grid."""
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, channels), 0.5)
    for i, image in enumerate(images):
        top, left = 1 + (i // columns) * (height + 1), 1 + (i % columns) * (width + 1)
        canvas[top : top + height, left : left + width] = image
    axes.imshow(canvas.squeeze(-1) if channels == 1 else canvas, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()


def patch_grids(data, samples, path: str | Path) -> None:
    """Write grids of patches `[n, height, width, 1]` of zero mean: data's, beside them samples.

    Both have one scale of grey, which shows 99% of the data's pixels without clipping.
    """
    data, samples = np.asarray(data, "float64"), np.asarray(samples, "float64")
    bound = np.quantile(np.abs(data), 0.99)
    figure, axes = _figure(2, 1)
    for panel, title, patches in zip(axes, ("data", "samples"), (data, samples), strict=True):
        _show_grid(panel, np.clip(patches / (2 * bound) + 0.5, 0, 1))
        panel.set_title(title)
    _write(figure, path)


def scatter(points, path: str | Path) -> None:
    """Write points `[n, 2]` as a scatter plot."""
    figure, (axes,) = _figure(1, 1, size=5.0)
    points = np.asarray(points)
    axes.scatter(points[:, 0], points[:, 1], s=2, alpha=0.5, linewidths=0)
    widths = np.ptp(points, axis=0)
    if widths.max() < 3 * widths.min():  # columns of one unit, as those of toys
        axes.set_aspect("equal")
    _write(figure, path)


def is_drawable(flow: keras.Model) -> bool:
    """Whether `draw_samples` can draw what the flow samples: images or points of a plane."""
    return is_image(flow) or flow.dims == 2


def is_image(flow: keras.Model) -> bool:
    """Whether the flow samples images of one or three channels."""
    return len(flow.event_shape) == 3 and flow.event_shape[-1] in (1, 3)


def draw_samples(flow: keras.Model, x, path: str | Path, columns: int | None = None) -> None:
    """Write samples x `[n, *event_shape]` of a flow as a grid of images or a scatter plot.

    Args:
        flow: what sampled them.
        x: samples.
        path: a .png, .pdf or .svg file.
        columns: of the grid; None makes it about square.
    """
    if not is_image(flow):
        scatter(np.asarray(x).reshape(-1, 2), path)
        return
    low, high = flow.data_range or (0, 1)
    image_grid(x - low, path, levels=high - low + 1 if flow.is_discrete else 2, columns=columns)


def _bins(rows):
    return int(np.clip(math.sqrt(len(rows)), 8, 60))


def training_curves(
    epochs: Sequence[int], curves: Mapping[str, Sequence[float]], best: int, path: str | Path
) -> None:
    """Write nlls in nats over the epochs of a run.

    Args:
        epochs: their numbers.
        curves: nlls of all epochs by what they are of: "training", "validation".
        best: number of the epoch to mark.
        path: a .png, .pdf or .svg file.
    """
    figure, (axes,) = _figure(1, 1, size=5.0)
    for label, values in curves.items():
        axes.plot(epochs, values, label=label, marker=".")
    axes.axvline(best, color="grey", linewidth=0.8, label=f"best: {best}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("nll, nats")
    axes.legend()
    _write(figure, path)


def score_histogram(scores: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write histograms of log-densities `[n]` by name, such as of test rows and of samples."""
    figure, (axes,) = _figure(1, 1, size=5.0)
    values = {name: np.asarray(v)[np.isfinite(v)] for name, v in scores.items()}
    both = np.concatenate(list(values.values()))
    bins = np.histogram_bin_edges(both, _bins(both), tuple(np.quantile(both, [0.002, 1.0])))
    for name, each in values.items():
        axes.hist(each, bins, density=True, histtype="step", label=f"{name}: {each.mean():.2f}")
    axes.set_xlabel("log p(x), nats")
    axes.legend(title="mean")
    _write(figure, path)


def marginals(
    data,
    samples,
    path: str | Path,
    max_columns: int = 16,
    names: Sequence[str] | None = None,
    labels: tuple[str, str] = ("data", "samples"),
) -> None:
    """Write histograms of samples `[n, dims]` over those of data, for evenly spread columns.

    Args:
        data, samples: rows.
        path: a .png, .pdf or .svg file.
        max_columns: how many columns at most.
        names: of all columns; None gives them their numbers.
        labels: of both in the legend.
    """
    data, samples = np.asarray(data), np.asarray(samples)
    columns = np.unique(np.linspace(0, data.shape[1] - 1, max_columns).astype(int))
    side = math.ceil(math.sqrt(len(columns)))
    figure, axes = _figure(side, math.ceil(len(columns) / side), size=1.8)
    for panel in axes[len(columns) :]:
        panel.set_axis_off()
    for panel, column in zip(axes, columns, strict=False):
        extent = tuple(np.quantile(data[:, column], [0.001, 0.999]))
        bins = np.histogram_bin_edges(data[:, column], _bins(data), extent)
        panel.hist(data[:, column], bins, density=True, color="lightgrey", label=labels[0])
        panel.hist(samples[:, column], bins, density=True, histtype="step", label=labels[1])
        panel.set_title(f"column {column}" if names is None else names[column], fontsize=7)
        panel.tick_params(labelsize=6)
    axes[0].legend(fontsize=6)
    _write(figure, path)


def density_panels(rows, path: str | Path, bound: float = 4.0) -> None:
    """Write data, learned density and samples side by side, two two-dimensional flows per line.

    Args:
        rows: list of (name, data `[n, 2]`, flow, samples `[n, 2]`).
        path: a .png, .pdf or .svg file.
        bound: the plots span [-bound, bound] in both directions.
    """
    pairs = min(2, len(rows))
    figure, axes = _figure(3 * pairs, math.ceil(len(rows) / pairs), size=2.6)
    for panel in axes:
        panel.set_axis_off()
    limits = [[-bound, bound], [-bound, bound]]
    for i, (name, data, flow, samples) in enumerate(rows):
        panels = axes[3 * i : 3 * i + 3]
        titles = (f"{name}: data", "density", "samples")
        for panel, points in ((panels[0], data), (panels[2], samples)):
            counts = np.histogram2d(*np.asarray(points).T, bins=150, range=limits)[0]
            panel.imshow(counts.T, origin="lower", extent=(-bound, bound) * 2, cmap="inferno")
        density = grid_density(flow, bound)
        panels[1].imshow(density.T, origin="lower", extent=(-bound, bound) * 2, cmap="inferno")
        for panel, title in zip(panels, titles, strict=True):
            panel.set_title(title, fontsize=9)
    _write(figure, path, dpi=60)


def grid_density(flow: keras.Model, bound: float = 4.0, side: int = 200) -> np.ndarray:
    """p(x) at the centres of a `side` x `side` grid over [-bound, bound]**2, first axis first."""
    centres = (np.arange(side, dtype="float32") + 0.5) / side * 2 * bound - bound
    points = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.exp(ops.convert_to_numpy(flow.log_prob(points))).reshape(side, side)
