"""What to do with the latents of real examples, for any flow: blends and changes of attributes."""

import numpy as np
from keras import ops

from tfflows.backend.tensor_ops import Tensor
from tfflows.flow import Flow


def interpolate(
    flow: Flow,
    first: Tensor,
    second: Tensor,
    num: int = 8,
    condition: Tensor | None = None,
) -> Tensor:
    """Data on the straight line between the latents of two examples (Glow, figure 5).

    Args:
        flow: any flow.
        first, second: examples `[*event_shape]`.
        num: points on the line, both ends counted; at least 2.
        condition: `[1, *condition_shape]` or `[num, *condition_shape]` where the flow is
            conditional. The ends are encoded under its first and its last row.

    Returns:
        Data `[num, *event_shape]`, `first` to `second`.
    """
    if num < 2:
        raise ValueError(f"num must be at least 2, the two ends. Received: {num}")
    ends = [None, None] if condition is None else [condition[:1], condition[-1:]]
    z = [
        ops.convert_to_numpy(flow.encode(np.asarray(x)[None], end))
        for x, end in zip((first, second), ends, strict=True)
    ]
    share = np.linspace(0, 1, num, dtype=z[0].dtype).reshape(-1, *[1] * (z[0].ndim - 1))
    return flow.inverse((1 - share) * z[0] + share * z[1], condition)


def attribute_direction(
    flow: Flow,
    with_attribute: Tensor,
    without: Tensor,
    condition_with: Tensor | None = None,
    condition_without: Tensor | None = None,
) -> np.ndarray:
    """Mean latent of one group of examples less that of another (Glow, figure 6).

    Args:
        flow: any flow.
        with_attribute, without: examples `[n, *event_shape]` and `[m, *event_shape]`.
        condition_with, condition_without: their conditions, where the flow is conditional.

    Returns:
        A direction `[*latent_shape]` for `change_attribute`.
    """
    means = [
        ops.convert_to_numpy(flow.encode(x, condition)).mean(axis=0)
        for x, condition in ((with_attribute, condition_with), (without, condition_without))
    ]
    return means[0] - means[1]


def change_attribute(
    flow: Flow,
    x: Tensor,
    direction: np.ndarray,
    amount: float = 1.0,
    condition: Tensor | None = None,
) -> Tensor:
    """Data `[n, *event_shape]` with their latents moved by `amount` times a direction.

    Args:
        flow: any flow.
        x: examples `[n, *event_shape]`.
        direction: `[*latent_shape]`, from `attribute_direction`.
        amount: 0 gives x back; negative takes the attribute away.
        condition: `[n, *condition_shape]` or one row, where the flow is conditional.
    """
    if np.shape(direction) != tuple(flow.latent_shape):
        raise ValueError(
            f"direction must have the latents' shape {tuple(flow.latent_shape)}. "
            f"Received: shape {np.shape(direction)}"
        )
    z = ops.convert_to_numpy(flow.encode(x, condition))
    return flow.inverse(z + np.asarray(amount * direction, z.dtype), condition)
