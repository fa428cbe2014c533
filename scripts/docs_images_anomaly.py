"""Draw the pictures of the guide on anomalies.

    python scripts/docs_images_anomaly.py --data-dir DATA

DATA has MNIST and Fashion-MNIST, prepared for TFDS. Writes docs/images/guide-anomalies-paradox.png,
guide-anomalies-complexity.png and guide-anomalies-explained.png, of the zoo's glow-fashion-mnist.
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from matplotlib.figure import Figure

import tfflows
from tfflows.anomaly import AnomalyDetector, code_length

IMAGES = Path(__file__).parents[1] / "docs" / "images"
NORMAL, FOREIGN, INK = "#1d4ed8", "#ea580c", "#334155"
LABELS = "Fashion-MNIST, normal", "MNIST, never seen"


def load(name, data_dir, split, count):
    """The first images of a split, in file order."""
    data = tfds.load(
        name, split=f"{split}[:{count}]", data_dir=data_dir, download=False, batch_size=-1
    )
    return tfds.as_numpy(data)["image"]


def hist(axes, parts, title):
    """Histograms of both kinds of images."""
    edges = np.linspace(*np.quantile(np.concatenate(parts), [0.002, 0.998]), 50)
    for values, color, label in zip(parts, (NORMAL, FOREIGN), LABELS, strict=True):
        values = np.clip(values, edges[0], edges[-1])
        axes.hist(values, edges, color=color, alpha=0.6, label=label, density=True)
    axes.set_yticks([])
    axes.set_xlabel(title, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw_paradox(parts, bits):
    """Images of both kinds, and how likely each is."""
    figure = Figure(figsize=(8.2, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    rows = [np.concatenate(part[:6, ..., 0], axis=1) for part in parts]
    left.imshow(np.concatenate(rows), cmap="gray_r")
    left.set_axis_off()
    hist(right, bits, "bits per image, -log2 p(x): fewer is more likely")
    right.legend(frameon=False)
    figure.savefig(IMAGES / "guide-anomalies-paradox.png", dpi=120, metadata={"Software": None})


def draw_complexity(detector, lengths, bits, scores):
    """Bits against complexity with the line, and the score that comes of it."""
    figure = Figure(figsize=(8.2, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    order = zip(lengths, bits, (NORMAL, FOREIGN), strict=True)
    for x, y, color in order:
        left.scatter(x, y, s=3, color=color, alpha=0.4, linewidths=0)
    ends = np.array([min(map(np.min, lengths)), max(map(np.max, lengths))])
    start, slope = detector.score_.line
    left.plot(ends, start + slope * ends, color=INK, linewidth=1)
    left.set_xlabel("code length in bits: how complex the image is", color=INK)
    left.set_ylabel("bits of the flow", color=INK)
    left.spines[["top", "right"]].set_visible(False)
    hist(right, scores, "how far above the line, in deviations")
    right.axvline(-detector.threshold_, color=INK, linestyle="--", linewidth=1)
    right.legend(frameon=False)
    figure.savefig(IMAGES / "guide-anomalies-complexity.png", dpi=120, metadata={"Software": None})


def draw_explained(detector, clothes, digits):
    """Clothes with a digit on them and digits, and what carries their scores."""
    odd = np.concatenate([clothes[10:14], digits[:2]])
    part = odd[:4, 12:26, 8:22]
    odd[:4, 12:26, 8:22] = np.maximum(part, digits[10:14, 7:21, 7:21])
    path = IMAGES / "guide-anomalies-explained.png"
    detector.explain(odd).picture(path, len(odd))


def main():
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--rows", type=int, default=600)
    args = parser.parse_args()
    names = "fashion_mnist", "mnist"
    parts = [load(name, args.data_dir, "test", args.rows) for name in names]
    flow = tfflows.zoo.load("glow-fashion-mnist")
    validation = load("fashion_mnist", args.data_dir, "train", 60_000)[50_000:51_200]
    detector = AnomalyDetector("given_complexity", flow).fit(validation)
    bits = [-np.asarray(flow.log_prob(part, batch_size=256)) / np.log(2) for part in parts]
    lengths = [np.asarray(code_length(part)) for part in parts]
    scores = [-detector.score_samples(part) for part in parts]
    draw_paradox(parts, bits)
    draw_complexity(detector, lengths, bits, scores)
    draw_explained(AnomalyDetector(model=flow).fit(validation), *parts)


if __name__ == "__main__":
    main()
