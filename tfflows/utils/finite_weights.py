"""Weights that a training which diverged leaves behind are refused wherever a model comes or goes.

TensorFlow's fused matmul, bias and relu turn NaN into 0, so that finite densities show nothing.
"""

from collections.abc import Iterable

import numpy as np
from keras import ops


def check_finite_weights(weights: Iterable, source: str = "") -> None:
    """Raise ValueError for a weight with NaN or inf.

    Args:
        weights: Keras or TensorFlow variables.
        source: where they come from, for the error; may be empty.
    """
    for weight in weights:
        if not np.isfinite(ops.convert_to_numpy(weight)).all():
            name = getattr(weight, "path", None) or weight.name
            raise ValueError(
                f"{f'{source}: ' if source else ''}Expected finite weights. Received: NaN or inf "
                f"in {name}, as a training that diverged leaves them: make the flow again, or load "
                "its last checkpoint"
            )
