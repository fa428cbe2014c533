"""The way of two-dimensional samples from base to data, as a strip of frames or an animation."""

from pathlib import Path

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.flow import Flow
from tfflows.layers import ContinuousFlow
from tfflows.utils.atomic import replaced_on_success


def states(flow: Flow, z: Tensor, num: int) -> list[np.ndarray]:
    """Where latents are on their way to data: `num` arrays `[n, 2]`, z and the data among them.

    A field is stopped at equal times; other layers give the states between them, of which, with
    those, `num` evenly spread ones are taken.

    Args:
        flow: without a condition, of events of two elements.
        z: latents `[n, 2]`.
        num: of states, at least 2.
    """
    way = [ops.convert_to_tensor(z)]
    for layer in reversed(flow.flow_layers):
        if isinstance(layer, ContinuousFlow):
            way += layer.inverse_path(way[-1], num - 1)
        else:
            way.append(layer.inverse(way[-1]))
    chosen = np.linspace(0, len(way) - 1, num).round().astype(int)
    return [ops.convert_to_numpy(way[i]).reshape(-1, 2) for i in chosen]


def write_film(
    flow: Flow,
    path: str | Path,
    frames: int = 8,
    num_samples: int = 50_000,
    seed: int = 0,
    bound: float = 4.0,
) -> None:
    """Write the way of samples from base to data as a strip (.png) or an animation (.gif).

    Args:
        flow: without a condition, of events of two elements.
        path: a .png or .gif file.
        frames: at least 2.
        num_samples: of which each frame is a histogram.
        seed: integer of the draws.
        bound: frames span [-bound, bound] in both directions.

    Raises:
        ValueError: the flow, the path or the number of frames does not fit.
    """
    suffix = Path(path).suffix
    if suffix not in (".png", ".gif"):
        raise ValueError(f"A film is a .png or .gif file. Received: {path}")
    if flow.dims != 2 or flow.condition_shape is not None:
        raise ValueError(
            "A film wants a flow of events of 2 elements without a condition. Received: events of "
            f"shape {flow.event_shape}, conditions {flow.condition_shape}"
        )
    if frames < 2:
        raise ValueError(f"frames must be at least 2. Received: {frames}")
    from matplotlib import colormaps
    from PIL import Image

    z = flow.base.sample(num_samples, seed=seed)
    images = []
    for points in states(flow, z, frames):
        counts = np.histogram2d(*points.T, bins=150, range=[[-bound, bound]] * 2)[0].T[::-1]
        bright = np.minimum(counts / np.quantile(counts[counts > 0], 0.99), 1)
        images.append((255 * colormaps["inferno"](bright)[..., :3]).astype("uint8"))
    with replaced_on_success(path) as temporary:
        if suffix == ".png":
            gap = np.full((150, 4, 3), 255, "uint8")
            parts = [part for image in images for part in (image, gap)][:-1]
            Image.fromarray(np.concatenate(parts, axis=1)).save(temporary, format="PNG")
            return
        first, *rest = (Image.fromarray(image).resize((300, 300)) for image in images)
        # The data stay for a second, ten frames.
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=[*rest, *[rest[-1]] * 10],
            duration=100,
            loop=0,
        )
