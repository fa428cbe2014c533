"""samples.png of a model of the zoo."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from keras import ops

from tfflows.datasets import Rows
from tfflows.evaluation import plots
from tfflows.evaluation.class_rows import are_few_classes, each_class
from tfflows.flow import Flow

_MAX_IMAGES, _MAX_POINTS = 64, 5000


def write_samples(
    flow: Flow, rows: Rows, path: Path, seed: int = 0, as_images: Callable | None = None
) -> None:
    """Write samples as a grid of images, a cloud of points, or histograms beside the data's.

    A conditional model is given the conditions of the first rows; one of images of a few classes
    gets a row of the grid for each class.

    Args:
        flow: the model.
        rows: rows of its test set.
        path: a .png file.
        seed: seed of the draws.
        as_images: turns `[n, *event_shape]` into patches of images, shown beside the data's.
    """
    count = min(_MAX_IMAGES if flow.is_discrete or as_images else _MAX_POINTS, len(rows))
    x = np.asarray(rows.x[:count])
    condition = None if rows.condition is None else rows.condition[:count]
    if flow.is_discrete and as_images is None and are_few_classes(condition):
        classes = condition.shape[1]  # of a square grid
        condition = each_class(classes, classes)
        count = len(condition)
    samples = ops.convert_to_numpy(flow.sample(count, condition, seed))
    if as_images:
        plots.patch_grids(as_images(x), as_images(samples), path)
    elif plots.is_drawable(flow):
        plots.draw_samples(flow, samples, path)
    else:
        plots.marginals(x.reshape(count, -1), samples.reshape(count, -1), path)
