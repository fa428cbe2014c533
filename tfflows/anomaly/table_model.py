"""The default model of a table of numbers."""

import numpy as np

from tfflows.flow import Flow
from tfflows.layers import Standardize
from tfflows.models import NICE

NUM_COUPLINGS = 10
HIDDEN_UNITS = (256, 256)


def default_table_model(x: np.ndarray) -> Flow:
    """An untrained flow over rows of numbers: NICE, in robust units.

    Additive couplings keep volumes, so that no region gets an unbounded density: columns that are
    constant or repeat few values do no harm.

    Args:
        x: normal rows `[n, columns]`, from which the units are taken.
    """
    scaling = Standardize()
    flow = NICE((x.shape[1],), NUM_COUPLINGS, HIDDEN_UNITS, preprocessing=[scaling])
    centre, spread = robust_units(x)
    scaling.mean.assign(centre)
    scaling.std.assign(spread)
    scaling.adapted.assign(1.0)
    return flow


def robust_units(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians and spreads of columns `[n, columns]`: interquartile ranges where there are such.

    Where most rows are equal the spread is the standard deviation, and of a constant column 1.
    """
    x = x.astype("float64")
    centre = np.median(x, axis=0)
    low, high = np.quantile(x, [0.25, 0.75], axis=0)
    spread, deviation = high - low, x.std(axis=0)
    rounding = 1e-6 * np.abs(x).max(axis=0)
    spread = np.where(spread > rounding, spread, deviation)
    return centre, np.where(spread > rounding, spread, 1.0)
