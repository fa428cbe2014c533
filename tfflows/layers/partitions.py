"""How a coupling layer splits an event into the part it keeps and the part it moves."""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from tfflows.backend.constants import Constant
from tfflows.backend.tensor_ops import cut_far

NAMES = ("half", "channel", "checkerboard")


class SlicePartition:
    """The first or the second half of the last axis is kept."""

    def __init__(self, event_shape: tuple, parity: int):
        *rest, size = event_shape
        self.parity = parity
        # One cut for both parities: XLA then splits no rows that the layer before has merged.
        self.first = size - size // 2
        sizes = (self.first, size - self.first)
        self.kept_shape = (*rest, sizes[parity])
        self.moved_shape = (*rest, sizes[1 - parity])
        self.constants = []

    def split(self, x):
        """x -> kept, moved."""
        halves = ops.split(x, [self.first], axis=-1)
        return halves[self.parity], halves[1 - self.parity]

    def merge(self, kept, moved):
        """kept, moved -> x."""
        halves = (moved, kept) if self.parity else (kept, moved)
        return ops.concatenate(halves, axis=-1)

    def restrict(self, parameters):
        """Parameters of the moved part, as they are."""
        return parameters


class GatherPartition:
    """Any subset of a vector's elements, or of tokens, is kept; the network sees just those.

    Args:
        kept: booleans `[size]` of the first axis of an event.
        rest: shape of what stands at each place of that axis: () for vectors, (channels,) for
            tokens.
    """

    def __init__(self, kept: np.ndarray, rest: tuple = ()):
        kept_indices, moved_indices = np.flatnonzero(kept), np.flatnonzero(~kept)
        self._kept = Constant(kept_indices.astype("int32"))
        self._moved = Constant(moved_indices.astype("int32"))
        order = np.concatenate([kept_indices, moved_indices])
        self._inverse_order = Constant(np.argsort(order).astype("int32"))
        self.constants = [self._kept, self._moved, self._inverse_order]
        self.kept_shape = (len(kept_indices), *rest)
        self.moved_shape = (len(moved_indices), *rest)

    def split(self, x):
        """x -> kept, moved."""
        return ops.take(x, self._kept.value, axis=1), ops.take(x, self._moved.value, axis=1)

    def merge(self, kept, moved):
        """kept, moved -> x."""
        order = self._inverse_order.value
        return ops.take(ops.concatenate([kept, moved], axis=1), order, axis=1)

    def restrict(self, parameters):
        """Parameters of the moved part, as they are."""
        return parameters


class WholePartition:
    """The one element of a vector is moved; nothing is kept."""

    def __init__(self):
        self.kept_shape, self.moved_shape = (0,), (1,)
        self.constants = []

    def split(self, x):
        """x -> kept, moved."""
        return x[:, :0], x

    def merge(self, kept, moved):
        """kept, moved -> x."""
        return moved

    def restrict(self, parameters):
        """Parameters of the moved part, as they are."""
        return parameters


class MaskPartition:
    """Any subset of an image's elements is kept; both parts stay images, with zeros elsewhere."""

    def __init__(self, kept: np.ndarray):
        self._kept = Constant(kept.astype("float32"))
        self.constants = [self._kept]
        self.kept_shape = self.moved_shape = kept.shape

    def split(self, x):
        """x -> kept, moved."""
        kept, x = ops.cast(self._kept.value, x.dtype), cut_far(x, 1e38)  # infinity * 0 is NaN
        return x * kept, x * (1 - kept)

    def merge(self, kept, moved):
        """kept, moved -> x."""
        return kept + moved

    def restrict(self, parameters):
        """Zero where an element is kept, so that the transform is the identity there."""
        return parameters * ops.cast(1 - self._kept.value, parameters.dtype)


def make_partition(
    partition: str | Sequence, parity: int, event_shape: tuple
) -> SlicePartition | GatherPartition | MaskPartition | WholePartition:
    """The partition that a coupling's arguments name, for events of `event_shape`.

    Vectors of one element are moved whole, whatever the partition and the parity.

    Args:
        partition: "half" or "channel" (the last axis in two), "checkerboard" (alternating
            elements), or an array of booleans, True where x is kept: of `event_shape`, or for
            tokens `(tokens, channels)` of shape `(tokens,)`.
        parity: 0 or 1; 1 exchanges the parts.
        event_shape: shape of one event.
    """
    is_one = tuple(event_shape) == (1,)
    if math.prod(event_shape) < 2 and not is_one:
        raise ValueError(f"A coupling needs at least 2 elements. Received: event {event_shape}")
    if isinstance(partition, str):
        if partition not in NAMES:
            raise ValueError(
                f"partition must be one of {NAMES} or an array of booleans. Received: {partition!r}"
            )
        if is_one:
            return WholePartition()
        if partition != "checkerboard":
            if event_shape[-1] < 2:
                raise ValueError(
                    f"partition={partition!r} requires at least 2 channels. Received: event of "
                    f'shape {event_shape}. Use partition="checkerboard", or Squeeze first'
                )
            return SlicePartition(event_shape, parity)
        # The channels at one position of an image stay together (RealNVP, figure 3).
        grid = event_shape[:-1] if len(event_shape) > 1 else event_shape
        kept = np.indices(grid).sum(axis=0) % 2 == parity
        if len(event_shape) > 1:
            kept = np.repeat(kept[..., None], event_shape[-1], axis=-1)
    else:
        kept = np.asarray(partition)
        is_tokens = len(event_shape) == 2 and kept.shape == event_shape[:1]
        if kept.dtype != bool or not (is_tokens or kept.shape == event_shape):
            raise ValueError(
                f"partition must be an array of booleans of shape {event_shape}. "
                f"Received: {kept.dtype} of shape {kept.shape}"
            )
        if is_one:
            return WholePartition()
        kept = kept != bool(parity)
    if kept.all() or not kept.any():
        raise ValueError(
            "partition must keep some elements and move some. Received: one that "
            + ("keeps all" if kept.all() else "keeps none")
        )
    if kept.ndim == 1:
        return GatherPartition(kept, event_shape[1:])
    return MaskPartition(kept)
