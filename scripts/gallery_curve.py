"""Training curves as SVG for a page whose style sheet gives the colours (scripts/gallery.css)."""

import html
import math

import numpy as np
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 30, 42
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

_SVG = """\
<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">
<text x="{left}" y="16">{units}</text>
{key}
{ticks}
<path class="axis" d="M{left} {floor}h{plot_width}"/>
<text x="{middle:.1f}" y="{bottom}" text-anchor="middle">epoch</text>
<svg x="{left}" y="{top}" width="{plot_width}" height="{plot_height}">
{curves}
</svg>
{best}
</svg>"""

# What the lines and the mark are, in the first row.
_KEY = {
    "training": '<path class="training" d="M112 12h20"/><text x="136" y="16">training</text>',
    "validation": '<path class="validation" d="M192 12h20"/><text x="216" y="16">validation</text>',
}
_BEST_KEY = '<circle class="best" cx="294" cy="12" r="4"/><text x="302" y="16">epoch {}</text>'


def draw_curve(
    epochs: list[int], curves: dict[str, list[float]], best: int, units: str, label: str
) -> tuple[str, float | None]:
    """The SVG of curves against epochs, and the value above which it cuts them off, or None.

    Args:
        epochs: their numbers.
        curves: "validation", and "training" or not, to one value per epoch; NaN and infinity are
            gaps.
        best: the epoch to mark on the validation curve.
        units: of the values.
        label: what the picture shows, for those who do not see it.
    """
    values = {name: np.asarray(curve, "float64") for name, curve in curves.items()}
    low, high, is_cut = limits(np.concatenate(list(values.values())))
    first, last = min(epochs), max(epochs)

    def x_of(epoch):
        return PLOT_WIDTH * (epoch - first) / max(last - first, 1)

    def y_of(value):
        # What is cut off need not be drawn where it is: renderers hold coordinates in float32.
        return PLOT_HEIGHT * (high - min(value, high + 9 * (high - low))) / (high - low)

    ticks = [_x_tick(x_of(tick), text) for tick, text in _ticks(first, last, integer=True)]
    ticks += [_y_tick(y_of(tick), text) for tick, text in _ticks(low, high)]
    points = {
        name: [(x_of(epoch), y_of(value)) for epoch, value in zip(epochs, curve, strict=True)]
        for name, curve in values.items()
    }
    x, y = points[list(points)[-1]][epochs.index(best)]
    svg = _SVG.format(
        width=WIDTH,
        height=HEIGHT,
        label=html.escape(label),
        left=LEFT,
        top=TOP,
        bottom=HEIGHT - 4,
        floor=TOP + PLOT_HEIGHT,
        middle=LEFT + PLOT_WIDTH / 2,
        plot_width=PLOT_WIDTH,
        plot_height=PLOT_HEIGHT,
        units=html.escape(units),
        key="\n".join([*(_KEY[name] for name in curves), _BEST_KEY.format(best)]),
        ticks="\n".join(ticks),
        curves="\n".join(f'<path class="{name}" d="{_path(p)}"/>' for name, p in points.items()),
        best=f'<circle class="best" cx="{LEFT + x:.1f}" cy="{TOP + y:.1f}" r="4"/>',
    )
    return svg, high if is_cut else None


def limits(values: np.ndarray) -> tuple[float, float, bool]:
    """Lowest and highest value of the axis, and whether values lie above it.

    The first epochs may be far from all others: where the highest tenth of the values would take
    more than half of the height, it is cut off.
    """
    finite = values[np.isfinite(values)]
    low, high = finite.min(), finite.max()
    most = np.quantile(finite, 0.9)
    is_cut = bool(high - low > 2 * (most - low) > 0)
    high = most if is_cut else high
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin, is_cut


def _ticks(low, high, integer=False):
    """Values of an axis and their texts, all with the same number of decimals."""
    found = MaxNLocator(6, integer=integer).tick_values(low, high)
    found = [value for value in found if low <= value <= high]
    decimals = max((len(f"{value:g}".partition(".")[2]) for value in found), default=0)
    return [(value, f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")) for value in found]


def _x_tick(x, text):
    x, y = LEFT + x, TOP + PLOT_HEIGHT
    number = f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle">{text}</text>'
    return f'<path class="axis" d="M{x:.1f} {y}v4"/>{number}'


def _y_tick(y, text):
    y = TOP + y
    number = f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    return f'<path class="grid" d="M{LEFT} {y:.1f}h{PLOT_WIDTH}"/>{number}'


def _path(points):
    """The `d` of a line through points, with a gap where one is not finite."""
    parts, command = [], "M"
    for x, y in points:
        if math.isfinite(y):
            parts.append(f"{command}{x:.1f} {y:.1f}")
        command = "L" if math.isfinite(y) else "M"
    return "".join(parts)
