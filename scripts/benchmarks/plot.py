"""Draw a results.json as bars, with matplotlib; run by tfflows' Python.

python -m benchmarks.plot results.json [docs/images/benchmark.png]
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from benchmarks.report import ACTIONS, TITLES


def draw(results: dict, path: Path) -> None:
    """One panel per action and group; tfflows in another colour."""
    groups = {group: [r for r in results["rows"] if r["group"] == group] for group in TITLES}
    groups = {group: rows for group, rows in groups.items() if rows}
    heights = [len(rows) for rows in groups.values()]
    figure, axes = pyplot.subplots(
        len(groups),
        len(ACTIONS),
        figsize=(11, 1.2 * len(groups) + 0.32 * sum(heights)),
        squeeze=False,
        layout="constrained",
        height_ratios=heights,
    )
    for line, (group, rows) in zip(axes, groups.items(), strict=True):
        names = [f"{row['library']}, {row['mode']}" for row in rows]
        colours = ["C1" if row["library"] == "tfflows" else "C0" for row in rows]
        for action, panel in zip(ACTIONS, line, strict=True):
            bars = panel.barh(names, [row["medians"][action] for row in rows], color=colours)
            panel.bar_label(bars, fmt="%.1f", padding=2)
            panel.margins(x=0.15)
            panel.invert_yaxis()
            panel.set_title(f"{TITLES[group]}: {action}, ms", fontsize=10)
            if action != ACTIONS[0]:
                panel.set_yticklabels([])
            panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    source, *targets = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text()), *(targets or [Path("docs/images/benchmark.png")]))
