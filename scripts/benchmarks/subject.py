"""What an adapter builds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Subject(NamedTuple):
    """A model of one library, ready to be timed.

    Args:
        parameters: number of trainable numbers.
        train: takes a number of steps, trains that many, and returns when they are done.
        log_prob: one call on the first batch; returns the result as a NumPy array `[batch]`.
        sample: one draw of a batch; returns it as a NumPy array `[batch, dims]`, images too.
        bare_train: like `train`, only by the library's compiled step, on one fixed batch, where
            `train` goes through more than that; None where it does not.
    """

    parameters: int
    train: Callable[[int], None]
    log_prob: Callable[[], np.ndarray]
    sample: Callable[[], np.ndarray]
    bare_train: Callable[[int], None] | None = None
