"""Bounded log-scales: what a network says about scale, made safe to divide by.

Both are the identity (log-scale 0) at s = 0, smooth, and keep the scale above 1e-3.
"""

import math

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
