"""Pictures of a table's report, as SVG."""

import contextlib
import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfflows.tables.associations import is_unordered
from tfflows.tables.columns import Cells, Coded, Column, Datetime, Integer
from tfflows.utils.damage import cut

ROWS, SAMPLES, INK, GRID = "#b6c2d2", "#1d4ed8", "#334155", "#e2e8f0"
_MAX_BARS = 8
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_COMMON_SHARE = 0.3
_MAX_POINTS = 30  # whole numbers that have a bar of their own


class Marginal(NamedTuple):
    """A picture of a column's marginal, with what it leaves out in words."""

    svg: str
    notes: tuple[str, ...]


@contextlib.contextmanager
def report_figure(width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure of so many inches, in the style of the reports."""
    # The object interface: pyplot would keep every figure and require a display.
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",  # text stays text: small, sharp, searchable
        "svg.hashsalt": "tfflows",
        "font.size": 8,
        "text.color": INK,
        "axes.edgecolor": GRID,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.major.size": 2,
        "ytick.major.size": 0,
        "text.parse_math": False,  # a column may be named $x$
    }
    with matplotlib.rc_context(style):  # pyright: ignore[reportArgumentType]
        yield Figure(figsize=(width, height), layout="constrained")


def svg_of(figure: Any) -> str:
    """A figure as the text of an SVG."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    text = file.getvalue()
    return text[text.index("<svg") :]


def training_curve(epochs: Sequence[tuple[int, float, float]]) -> str:
    """An SVG of the nll over epochs: (epoch, training nll, held-out nll)."""
    from matplotlib.ticker import MaxNLocator

    number, training, held_out = (np.array(part, "float64") for part in zip(*epochs, strict=True))
    best = np.nanargmin(np.where(np.isfinite(held_out), held_out, np.inf))
    with report_figure(5.4, 2.5) as figure:
        axes = figure.subplots()
        axes.plot(number, training, color=INK, alpha=0.5, linewidth=1.2, label="training")
        axes.plot(number, held_out, color=SAMPLES, linewidth=1.6, label="held-out")
        axes.plot(number[best], held_out[best], "o", color=SAMPLES, markersize=5)
        axes.annotate(
            f"best: epoch {int(number[best])}",
            (number[best], held_out[best]),
            (0, 8),
            textcoords="offset points",
            ha="right" if number[best] > number.mean() else "left",
            color=SAMPLES,
        )
        finite = np.concatenate([training, held_out])
        finite = finite[np.isfinite(finite)]
        # The first epochs are far above all others.
        low, high = finite.min(), np.quantile(finite, 0.97)
        if high > low:
            axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("nats per row")
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.legend(frameon=False, loc="upper right")
        return svg_of(figure)


def marginal(column: Column, rows: Cells, samples: Cells) -> Marginal:
    """Bars or histograms of one column of rows and samples, on one scale."""
    with report_figure(2.9, 1.75) as figure:
        notes = _draw_marginal(figure.subplots(), column, rows, samples)
        return Marginal(svg_of(figure), tuple(notes))


def write_marginals(
    columns: Iterable[Column],
    rows: Mapping[str, Cells],
    samples: Mapping[str, Cells],
    path: str | Path,
) -> None:
    """Write the pictures of all columns beside each other, as one file.

    Args:
        columns: of the table.
        rows, samples: their cells by the names of the columns.
        path: of a .png file.
    """
    from matplotlib.patches import Patch

    columns = list(columns)
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    with report_figure(2.9 * across, 1.95 * down + 0.3) as figure:
        places = figure.subplots(down, across, squeeze=False).flat
        for column, axes in zip(columns, places, strict=False):
            notes = _draw_marginal(axes, column, rows[column.name], samples[column.name])
            axes.set_title(cut(column.name, 30), fontsize=9, loc="left")
            if notes:
                axes.set_xlabel("\n".join(textwrap.fill(note, 40) for note in notes), fontsize=6)
        for axes in list(places):
            axes.set_visible(False)
        labels = {"rows": ROWS, "samples": SAMPLES}
        handles = [Patch(color=color, label=label) for label, color in labels.items()]
        figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False)
        figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_marginal(axes, column, rows, samples):
    """The picture of a column; returns what it leaves out in words."""
    notes = []
    if rows.missing.any() or samples.missing.any():
        shares = rows.missing.mean(), samples.missing.mean()
        notes.append(f"missing: {shares[0]:.1%} of rows, {shares[1]:.1%} of samples")
    parts = [cells.values[~cells.missing] for cells in (rows, samples)]
    if isinstance(column, Coded):
        return notes + _bars(axes, column, parts)
    return notes + _histograms(axes, column, parts) if len(parts[0]) else notes


def _bars(axes, column, parts):
    """Shares of the commonest values, or of ordered levels in their order."""
    shares = [np.bincount(part, minlength=column.num_codes) / max(1, len(part)) for part in parts]
    order = np.argsort(-shares[0], kind="stable")[:_MAX_BARS]
    if not is_unordered(column):
        order = np.sort(order)
    names = [*map(str, column.values), "(other)"]
    labels = [cut(names[code], 18) for code in order]
    place = np.arange(len(order))
    axes.barh(place - 0.2, shares[0][order], 0.4, color=ROWS)
    axes.barh(place + 0.2, shares[1][order], 0.4, color=SAMPLES)
    axes.set_yticks(place, labels)
    axes.invert_yaxis()
    _percent(axes.xaxis)
    rest = column.num_codes - len(order)
    if not rest:
        return []
    left = [1 - share[order].sum() for share in shares]
    return [f"{rest:,} further values: {left[0]:.1%} of rows, {left[1]:.1%} of samples"]


def _percent(axis):
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(PercentFormatter(1, decimals=None))


def _histograms(axes, column, parts):
    notes = []
    values, counts = np.unique(parts[0], return_counts=True)
    common = values[counts.argmax()]
    if counts.max() > _COMMON_SHARE * len(parts[0]) and len(values) > _MAX_POINTS:
        shares = [(part == common).mean() for part in parts]
        text = _in_units(column, np.array([common]))[0]
        text = str(text) if isinstance(column, Datetime) else f"{text:.6g}"
        notes.append(f"{text}: {shares[0]:.1%} of rows, {shares[1]:.1%} of samples; not drawn")
        parts = [part[part != common] for part in parts]
    low, high = np.quantile(parts[0], [0.005, 0.995])
    edges = _edges(column, parts[0], low, high)
    heights = [np.histogram(part, edges)[0] / max(1, len(part)) for part in parts]
    if column.kind == "positive" and edges[-1] > 100 * max(edges[0], 1e-300):
        axes.set_xscale("log")
    x = _in_units(column, edges)
    axes.stairs(heights[0], x, fill=True, color=ROWS)
    axes.stairs(heights[1], x, color=SAMPLES, linewidth=1.4, baseline=None)
    _percent(axes.yaxis)
    if isinstance(column, Datetime):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=2, maxticks=5)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    elif axes.get_xscale() == "linear":
        from matplotlib.ticker import EngFormatter, MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(5))
        if max(abs(x[0]), abs(x[-1])) >= 10_000:
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    return notes


def _edges(column, values, low, high):
    if isinstance(column, Integer | Datetime):
        # Bars are as many ticks wide as each other, or they would go up and down by themselves.
        width = max(1, int(np.ceil((high - low + 1) / _MAX_POINTS)))
        return np.arange(np.floor(low), np.ceil(high) + width + 1, width) - 0.5
    if column.kind == "positive" and high > 100 * max(low, 1e-300):
        return np.geomspace(max(low, 1e-300), high, 41)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, int(np.clip(np.sqrt(len(values)), 10, 40)) + 1)


def _in_units(column, values):
    """Values of cells in the units of the data."""
    if isinstance(column, Integer):
        return column.offset + column.step * np.asarray(values, "float64")
    if isinstance(column, Datetime):
        # Half ticks of days and coarser ones are hours.
        nanoseconds = int(np.timedelta64(1, column.unit) / np.timedelta64(1, "us") * 1000)
        micro = np.asarray(values, "float64") * (nanoseconds / 1000)
        return micro.round().astype("int64").astype("datetime64[us]")
    return values


def association_map(names: Sequence[str], values: np.ndarray, title: str) -> str:
    """An SVG of a matrix of associations `[D, D]`, each from -1 to 1."""
    count = len(names)
    side = float(np.clip(0.16 * count + 1.4, 2.6, 6.5))
    with report_figure(side, side) as figure:
        axes = figure.subplots()
        axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="none")
        labels = [cut(name, 16) for name in names]
        size = 7 if count <= 20 else 5
        axes.set_xticks(range(count), labels, rotation=90, fontsize=size)
        axes.set_yticks(range(count), labels, fontsize=size)
        axes.set_title(title, fontsize=9, loc="left")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return svg_of(figure)
