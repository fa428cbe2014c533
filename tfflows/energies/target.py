"""What the ready densities have in common."""

import numpy as np

from tfflows.backend.tensor_ops import Tensor


class Target:
    """An unnormalised log-density, a function of x `[batch, *event_shape]` -> `[batch]`.

    Attributes:
        event_shape: of x.
        log_z: the log of its integral, where that is known; otherwise None.
    """

    event_shape: tuple[int, ...]
    log_z: float | None = None

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define `__call__`.")

    def sample(self, count: int, seed: int | None = None) -> np.ndarray:
        """Exact draws `[count, *event_shape]`, where there is a way to make them."""
        raise NotImplementedError(f"There are no exact draws of {type(self).__name__}.")
