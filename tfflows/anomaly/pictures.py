"""Pictures of scores: their distribution, curves where labels are known, explanations."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfflows.tables.report_pictures import GRID, INK, ROWS, SAMPLES, report_figure, svg_of

if TYPE_CHECKING:
    from tfflows.anomaly.explaining import Explanation

ALARM = "#ea580c"
BINS = 60


def score_histogram(
    calibration: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    labels: np.ndarray | None = None,
    path: str | Path | None = None,
) -> str:
    """An SVG of anomaly scores, larger where more abnormal, with the threshold.

    Args:
        calibration: of calibration rows.
        scores: of the rows.
        threshold: above which rows are called abnormal.
        labels: bool, which rows are anomalies, or None.
        path: of a .png file to write too, or None.
    """
    usual = np.quantile(calibration, [0.002, 0.5])
    high = max(threshold, np.quantile(calibration, 0.998))
    high = min(max(high, np.quantile(scores, 0.998)), usual[1] + 4 * (high - usual[1]))
    low = min(usual[0], max(np.quantile(scores, 0.002), usual[0] - (high - usual[0])))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    with report_figure(7.2, 2.6) as figure:
        axes = figure.subplots()
        _stairs(axes, calibration, edges, ROWS, "calibration rows", fill=True)
        if labels is None or labels.all() or not labels.any():
            _stairs(axes, scores, edges, SAMPLES, "these rows")
        else:
            _stairs(axes, scores[~labels], edges, SAMPLES, "labelled normal")
            _stairs(axes, scores[labels], edges, ALARM, "labelled abnormal")
        axes.axvline(threshold, color=INK, linewidth=1, linestyle="--")
        axes.annotate(
            "threshold", (threshold, 1), (4, -2), va="top", color=INK,
            xycoords=axes.get_xaxis_transform(), textcoords="offset points",
        )  # fmt: skip
        axes.set_xlabel("anomaly score; the last bars hold all beyond")
        axes.set_ylabel("share of rows")
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3)
        if path is not None:
            figure.savefig(path, dpi=110, metadata={"Software": None})
        return svg_of(figure)


def _stairs(axes, values, edges, color, label, fill=False):
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    shares = counts / max(1, len(values))
    options: Any = {"fill": True} if fill else {"linewidth": 1.4, "baseline": None}
    axes.stairs(shares, edges, color=color, label=label, **options)


def curves(scores: np.ndarray, labels: np.ndarray) -> tuple[str, float, float]:
    """An SVG of the ROC and the precision-recall curve, AUROC and average precision."""
    from sklearn import metrics

    false_alarms, found, _ = metrics.roc_curve(labels, scores)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    auc = float(metrics.roc_auc_score(labels, scores))
    average = float(metrics.average_precision_score(labels, scores))
    with report_figure(7.2, 3.0) as figure:
        left, right = figure.subplots(1, 2)
        left.plot(false_alarms, found, color=SAMPLES)
        left.plot([0, 1], [0, 1], color=GRID, zorder=0)
        left.set_xlabel("share of normal rows called abnormal")
        left.set_ylabel("share of anomalies found")
        left.set_title(f"ROC, area {auc:.3f}", loc="left", fontsize=9)
        right.plot(recall, precision, color=SAMPLES, drawstyle="steps-post")
        right.axhline(labels.mean(), color=GRID, zorder=0)
        right.set_xlabel("share of anomalies found")
        right.set_ylabel("precision")
        right.set_ylim(-0.03, 1.03)
        right.set_title(f"precision and recall, average {average:.3f}", loc="left", fontsize=9)
        return svg_of(figure), auc, average


def draw_explanation(explanation: "Explanation", path: str | Path, count: int = 8) -> None:
    """Write a picture of an explanation's first rows; see `Explanation.picture`."""
    if count < 1:
        raise ValueError(f"Expected `count` to be at least 1. Received: {count}")
    shown = min(count, len(explanation.scores))
    if explanation.contributions.ndim == 2:
        _draw_columns(explanation, path, shown)
        return
    with report_figure(1.15 * shown + 0.2, 2.7) as figure:
        places = figure.subplots(2, shown, squeeze=False)
        for row in range(shown):
            upper, lower = places[:, row]
            upper.imshow(_pixels(explanation.rows[row]), cmap="gray", vmin=0)
            upper.set_title(f"score {explanation.scores[row]:.3g}", fontsize=8)
            own = explanation.contributions[row]
            # White is no contribution, also where no patch has one.
            lower.imshow(own, cmap="Oranges", vmin=0, vmax=own.max() or 1)
            lower.set_title(f"up to {own.max():.3g}", fontsize=8)
        for axes in places.flat:
            axes.set_axis_off()
        figure.savefig(path, dpi=110, metadata={"Software": None} if _is_png(path) else None)


def _draw_columns(explanation, path, shown):
    with report_figure(7.2, 0.4 + 1.1 * shown) as figure:
        places = figure.subplots(shown, 1, squeeze=False)[:, 0]
        for row, axes in enumerate(places):
            own = explanation.contributions[row]
            order = np.argsort(-own, kind="stable")[:5]
            axes.barh(range(len(order)), own[order], color=ALARM, height=0.6)
            axes.set_yticks(range(len(order)), [explanation.names[i] for i in order])
            axes.invert_yaxis()
            axes.set_title(f"score {explanation.scores[row]:.4g}", loc="left", fontsize=8)
        places[-1].set_xlabel("how far the score falls without it")
        figure.savefig(path, dpi=110, metadata={"Software": None} if _is_png(path) else None)


def _is_png(path):
    return Path(path).suffix == ".png"


def _pixels(image):
    image = np.asarray(image)
    if image.shape[-1] != 3:
        return image.mean(axis=-1)
    return np.clip(image / max(image.max(), 1), 0, 1)


def image_pair(image: np.ndarray, contributions: np.ndarray) -> str:
    """An image and what carries its score beside it, as base64 of a PNG."""
    with report_figure(2.2, 1.1) as figure:
        left, right = figure.subplots(1, 2)
        left.imshow(_pixels(image), cmap="gray", vmin=0)
        right.imshow(contributions, cmap="Oranges")
        for axes in (left, right):
            axes.set_axis_off()
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=90, metadata={"Software": None})
    return base64.b64encode(file.getvalue()).decode()
