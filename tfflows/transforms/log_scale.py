"""Bounded log-scales: what a network says about scale, made safe to divide by.

Both are the identity (log-scale 0) at s = 0, smooth, and keep the scale above 1e-3.
"""

import math
from collections.abc import Callable

from keras import ops

FLOOR = 1e-3


def soft_clip(s):
    """s / (1 + |s| / log 1e3): scales in (1e-3, 1e3), for tables (zuko's affine coupling)."""
    return s / (1 + ops.abs(s) / -math.log(FLOOR))


def two_sigmoid(s):
    """log of 2 sigmoid(s) with a floor: scales in (1e-3, 2 - 1e-3), for images.

    Jet (Kolesnikov et al. 2024) has 2 sigmoid(s), which the inverse would divide by at any size.
    """
    return ops.log(FLOOR + 2 * (1 - FLOOR) * ops.sigmoid(s))


LOG_SCALES = {"soft_clip": soft_clip, "two_sigmoid": two_sigmoid}
# An element that is moved more often than this by scales of up to 1e3 can leave float32.
MAX_MOVES = 5


def log_scale_bound(log_scale: str | float) -> Callable:
    """The function of s that a name, or a largest scale, stands for.

    Raises:
        ValueError: it is neither one of the names nor a finite number above 1.
    """
    if isinstance(log_scale, str) and log_scale in LOG_SCALES:
        return LOG_SCALES[log_scale]
    if isinstance(log_scale, bool | str) or not 1 < log_scale < math.inf:
        raise ValueError(
            f"log_scale must be one of {list(LOG_SCALES)}, or a largest scale above 1. "
            f"Received: {log_scale!r}"
        )
    limit = math.log(log_scale)
    return lambda s: s / (1 + ops.abs(s) / limit)


def deep_log_scale(moves: float) -> str | float:
    """A bound with which a stack as a whole scales an element by at most 1e15.

    Args:
        moves: layers of the stack that scale an element.
    """
    return "soft_clip" if moves <= MAX_MOVES else FLOOR ** (-MAX_MOVES / moves)
