"""samples.png of a model of the zoo."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from keras import ops

from tfflows.evaluation import plots
from tfflows.flow import Flow


def write_samples(
    flow: Flow, rows, path: Path, seed: int = 0, as_images: Callable | None = None
) -> None:
    """Write samples as a grid of images, a cloud of points, or histograms beside the data's.

    A conditional model is given the conditions of the first rows.

    Args:
        flow: the model.
        rows: x `[n, *event_shape]` of its test set, or (x, condition).
        path: a .png file.
        seed: of the draws.
        as_images: turns `[n, *event_shape]` into patches of images, shown beside the data's.
    """
    x, condition = rows if isinstance(rows, tuple) else (rows, None)
    count = min(64 if flow.is_discrete or as_images else 5000, len(x))
    x = np.asarray(x[:count])
    condition = None if condition is None else np.asarray(condition[:count])
    samples = ops.convert_to_numpy(flow.sample(count, condition, seed))
    if as_images:
        plots.patch_grids(as_images(x), as_images(samples), path)
    elif plots.is_drawable(flow):
        plots.draw_samples(flow, samples, path)
    else:
        plots.marginals(x.reshape(count, -1), samples.reshape(count, -1), path)
