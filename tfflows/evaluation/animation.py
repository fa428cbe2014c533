"""Two-dimensional samples on their way from base to data, as a strip of frames or an animation."""

from pathlib import Path

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.flow import Flow
from tfflows.layers import ContinuousFlow
from tfflows.utils.atomic import replaced_on_success

_FRAME_PIXELS, _GIF_PIXELS, _GAP_PIXELS = 150, 300, 4
_FRAME_MILLISECONDS = 100
_LAST_FRAME_REPEATS = 10  # the data stay for one more second


def states(flow: Flow, z: Tensor, num_states: int) -> list[np.ndarray]:
    """Points on their way from latents to data: arrays `[n, 2]`, z first and the data last.

    A continuous flow is stopped at equal times, and every other layer gives one state. From all of
    them, `num_states` evenly spread ones are taken.

    Args:
        flow: a flow of events of two elements, without a condition.
        z: latents `[n, 2]`.
        num_states: number of states, at least 2.
    """
    way = [ops.convert_to_tensor(z)]
    for layer in reversed(flow.flow_layers):
        if isinstance(layer, ContinuousFlow):
            way += layer.inverse_path(way[-1], num_states - 1)
        else:
            way.append(layer.inverse(way[-1]))
    chosen = np.linspace(0, len(way) - 1, num_states).round().astype(int)
    return [ops.convert_to_numpy(way[i]).reshape(-1, 2) for i in chosen]


def animate(
    flow: Flow,
    path: str | Path,
    num_frames: int = 8,
    num_samples: int = 50_000,
    seed: int = 0,
    bound: float = 4.0,
) -> None:
    """Write samples on their way from base to data, as a strip (.png) or an animation (.gif).

    Example:
        tfflows.evaluation.animate(flow, "moons.gif", num_frames=30)

    Args:
        flow: a flow of events of two elements, without a condition.
        path: a .png or .gif file.
        num_frames: number of frames, at least 2.
        num_samples: number of samples; a frame is their histogram.
        seed: integer seed of the samples.
        bound: frames span [-bound, bound] in both directions.

    Raises:
        ValueError: the flow, the path or the number of frames does not fit.
    """
    suffix = Path(path).suffix
    if suffix not in (".png", ".gif"):
        raise ValueError(f"An animation is a .png or .gif file. Received: {path}")
    if flow.dims != 2 or flow.condition_shape is not None:
        raise ValueError(
            "An animation requires a flow of events of 2 elements without a condition. Received: "
            f"events of shape {flow.event_shape}, conditions {flow.condition_shape}"
        )
    if num_frames < 2:
        raise ValueError(f"num_frames must be at least 2. Received: {num_frames}")
    z = flow.base.sample(num_samples, seed=seed)
    frames = [_frame(points, bound) for points in states(flow, z, num_frames)]
    with replaced_on_success(path) as temporary:
        (_write_strip if suffix == ".png" else _write_gif)(frames, temporary)


def _frame(points, bound):
    """A histogram of points as RGB pixels, uint8."""
    from matplotlib import colormaps

    limits = [[-bound, bound]] * 2
    counts = np.histogram2d(*points.T, bins=_FRAME_PIXELS, range=limits)[0].T[::-1]
    bright = np.minimum(counts / np.quantile(counts[counts > 0], 0.99), 1)
    return (255 * colormaps["inferno"](bright)[..., :3]).astype("uint8")


def _write_strip(frames, path):
    from PIL import Image

    gap = np.full((_FRAME_PIXELS, _GAP_PIXELS, 3), 255, "uint8")
    parts = [part for frame in frames for part in (frame, gap)][:-1]
    Image.fromarray(np.concatenate(parts, axis=1)).save(path, format="PNG")


def _write_gif(frames, path):
    from PIL import Image

    first, *rest = (Image.fromarray(f).resize((_GIF_PIXELS, _GIF_PIXELS)) for f in frames)
    first.save(
        path,
        format="GIF",
        save_all=True,
        append_images=[*rest, *[rest[-1]] * _LAST_FRAME_REPEATS],
        duration=_FRAME_MILLISECONDS,
        loop=0,
    )
