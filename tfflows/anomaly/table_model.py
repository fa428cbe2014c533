"""The default model of a table of numbers: a small flow that is trained on noisy rows."""

import numpy as np

from tfflows.distributions import StandardLogistic
from tfflows.flow import Flow
from tfflows.layers import (
    AdditiveCoupling,
    Arcsinh,
    ConditionalAffine,
    NoiseConditional,
    Permute,
    Standardize,
)
from tfflows.networks import MLP

NUM_COUPLINGS = 6
HIDDEN_UNITS = (64, 64)
TAIL = 2.0  # deviations from which on values count by their logarithms
NOISE = (0.05, 1.0)  # deviations


def default_table_model(x: np.ndarray) -> Flow:
    """An untrained flow over rows of numbers, in units that outliers do not set.

    Additive couplings keep volumes (NICE), so that no region gets an unbounded density, and noise
    of all scales, of which the couplings are told, keeps small tables from being learnt by heart
    (SoftFlow, https://arxiv.org/abs/2006.04604): duplicates, integers and constant columns do no
    harm. How it was chosen is in docs/results/anomaly.md.

    Args:
        x: normal rows `[n, columns]`, from which the units are taken.
    """
    scaling = Standardize()
    layers = []
    for number in range(NUM_COUPLINGS):
        layers += [
            Permute(seed=number),
            AdditiveCoupling("half", number % 2, MLP(list(HIDDEN_UNITS))),
        ]
    layers.append(ConditionalAffine("soft_clip"))
    low, high = NOISE
    noisy = NoiseConditional(layers, low, high)
    flow = Flow([scaling, Arcsinh(TAIL), noisy], (x.shape[1],), StandardLogistic())
    centre, spread = units(x)
    scaling.mean.assign(centre)
    scaling.std.assign(spread)
    scaling.adapted.assign(1.0)
    return flow


def units(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians and spreads of columns `[n, columns]`.

    A spread is the geometric mean of the standard deviation and the one that the quartiles of a
    normal distribution would give: half as far from outliers. Where the quartiles are equal it is
    the standard deviation, and of a constant column 1.
    """
    x = x.astype("float64")
    low, centre, high = np.quantile(x, [0.25, 0.5, 0.75], axis=0)
    deviation, middle = x.std(axis=0), (high - low) / 1.349
    rounding = 1e-6 * np.abs(x).max(axis=0) + 1e-30
    spread = np.where(middle > rounding, np.sqrt(middle * deviation), deviation)
    return centre, np.where(spread > rounding, spread, 1.0)
