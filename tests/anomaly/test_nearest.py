"""Distances to normal rows, and the smallest of several p-values."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tfflows import Flow, layers
from tfflows.anomaly.nearest import NearestRow
from tfflows.anomaly.scores import NegativeLogLikelihood, Score
from tfflows.anomaly.smallest_p_value import SmallestPValue
from tfflows.anomaly.table_model import TAIL, default_table_model, units

RNG = np.random.default_rng(0)
NORMAL = (RNG.normal(size=(400, 3)) * [1, 50, 0.1] + [0, 900, 0]).astype("float32")
ROWS = (2 * RNG.normal(size=(30, 3)) * [1, 50, 0.1] + [0, 900, 0]).astype("float32")


@pytest.fixture(scope="module")
def flow():
    return Flow([layers.DiagonalScaling()], (3,))


def scaled(x):
    centre, spread = units(NORMAL)
    return TAIL * np.arcsinh((x - centre) / spread / TAIL)


@pytest.mark.parametrize(("contamination", "neighbour"), [(0.0, 0), (0.02, 7)])
def test_distance_to_the_nearest_row_or_past_those_that_may_be_abnormal(
    flow, contamination, neighbour
):
    score = NearestRow(flow)
    score.see_trained((NORMAL,), contamination)
    distances = np.sort(cdist(scaled(ROWS), scaled(NORMAL)), axis=1)
    np.testing.assert_allclose(score(ROWS), distances[:, neighbour], rtol=1e-3)
    if not contamination:
        assert score(NORMAL).max() < 1e-6  # its square is below what the largest one rounds to
        score.fit(ROWS)
        assert score(ROWS).max() < 1e-6


def test_units_are_not_set_by_outliers_nor_by_equal_rows():
    x = np.zeros((1_000, 4))
    x[:, 0] = np.random.default_rng(1).normal(3, 2, 1_000)
    x[:, 1] = x[:, 0]
    x[0, 1] = 1e6  # an outlier
    x[:100, 2] = 1  # equal quartiles
    centre, spread = units(x)
    np.testing.assert_allclose(centre, [3, 3, 0, 0], atol=0.2)
    np.testing.assert_allclose(spread[[0, 2, 3]], [2, 0.3, 1], rtol=0.1)
    assert spread[1] < x[:, 1].std() / 50


class Column(Score):
    """A column as it is."""

    def __init__(self, model, place):
        super().__init__(model)
        self.place = place

    def compute(self, x):
        return x[:, self.place]


def test_the_smallest_p_value_is_that_of_the_most_extreme_score(flow):
    members = [lambda model, place=place: Column(model, place) for place in (0, 1)]
    held_out = np.random.default_rng(0).exponential(size=(50_000, 3)).astype("float32")
    held_out[:, 1] *= 10
    score = SmallestPValue(flow, members)
    score.fit(held_out)
    # P(e > s) = exp(-s): within the held-out rows and beyond them, in units of the mean.
    x = np.array([[0.5, 0, 9], [0.5, 12, 9], [3, 1, 9], [1, 200, 9]], "float32")
    np.testing.assert_allclose(score(x), [0.5, 1.2, 3, 20], rtol=0.05)


def test_statistics_are_taken_before_the_held_out_rows_are_known(flow):
    score = SmallestPValue(flow, (NegativeLogLikelihood, NearestRow))
    score.see_trained((NORMAL[:200],))
    score.fit(NORMAL[200:])
    assert np.isfinite(score(ROWS)).all()
    assert score.knots[1].max() > 0  # distances of held-out rows to the others, not to themselves
    assert len(score.members[1].rows) == 400
    other = SmallestPValue(flow, (NegativeLogLikelihood, NearestRow))
    other.set_state(score.state())
    np.testing.assert_allclose(other(ROWS), score(ROWS), rtol=1e-6)


def test_the_default_model_takes_any_columns():
    x = np.zeros((50, 3))
    x[:, 0] = np.arange(50) % 4
    x[:, 1] = 1e7 + np.arange(50)
    flow = default_table_model(x)
    assert np.isfinite(np.asarray(flow.log_prob(x.astype("float32")))).all()
