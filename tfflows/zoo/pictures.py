"""samples.png of a model of the zoo."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from keras import ops

from tfflows.datasets import Rows
from tfflows.evaluation import plots
from tfflows.flow import Flow

_MAX_IMAGES, _MAX_POINTS, _MAX_CLASSES = 64, 5000, 12


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
    if condition is not None and flow.is_discrete and as_images is None and _is_one_hot(condition):
        classes = condition.shape[1]  # of a square grid
        condition = np.repeat(np.eye(classes, dtype="float32"), classes, axis=0)
        count = len(condition)
    samples = ops.convert_to_numpy(flow.sample(count, condition, seed))
    if as_images:
        plots.patch_grids(as_images(x), as_images(samples), path)
    elif plots.is_drawable(flow):
        plots.draw_samples(flow, samples, path)
    else:
        plots.marginals(x.reshape(count, -1), samples.reshape(count, -1), path)


def _is_one_hot(condition):
    """Whether conditions `[n, ...]` are those of a few classes."""
    if condition.ndim != 2 or not 1 < condition.shape[1] <= _MAX_CLASSES:
        return False
    classes = condition.shape[1]
    return bool((np.sort(condition, axis=1) == np.eye(1, classes, classes - 1)).all())
