"""TableDensity by scikit-learn's own checks, and by its conventions for densities."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import estimator_checks_generator

from tfflows.tables import Schema, TableDensity

TINY = {"width": 4, "num_blocks": 1, "num_components": 2, "max_epochs": 1, "batch_size": 256}
# Those that fit nothing; the others are slow.
QUICK = (
    "check_estimators_unfitted",
    "check_parameters_default_constructible",
    "check_no_attributes_set_in_init",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimator_sparse_array",
    "check_fit2d_1sample",
    "check_complex_data",
)


def checks():
    for estimator, check in estimator_checks_generator(TableDensity(random_state=0, **TINY)):
        name = check.func.__name__ if hasattr(check, "func") else check.__name__
        marks = () if name in QUICK else pytest.mark.slow
        yield pytest.param(estimator, check, marks=marks, id=name)


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_sklearns_own(estimator, check):
    check(estimator)


def table(rows=120, seed=0):
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, rows)
    return pd.DataFrame(
        {
            "age": age,
            "income": random.lognormal(3, 1, rows),
            "job": pd.Categorical(random.choice(["a", "b", "c"], rows)),
            "note": np.where(random.random(rows) < 0.2, None, "old"),
        }
    )


@pytest.fixture(scope="module")
def fitted():
    return TableDensity(random_state=3, **TINY).fit(table())


def test_scores_and_samples_are_those_of_the_flow(fitted):
    rows = table(30, seed=1)
    scores = fitted.score_samples(rows)
    assert scores.shape == (30,)
    assert scores.dtype == "float64"
    np.testing.assert_allclose(scores, fitted.flow_.log_prob(rows), rtol=1e-6)
    assert fitted.score(rows) == scores.mean()
    drawn = fitted.sample(25, random_state=1)
    assert list(drawn.dtypes) == list(table().dtypes)
    assert len(drawn) == 25
    pd.testing.assert_frame_equal(drawn, fitted.sample(25, random_state=1))
    pd.testing.assert_frame_equal(fitted.sample(3), fitted.sample(3))  # of random_state=3
    assert not drawn.equals(fitted.sample(25, random_state=2))
    assert list(fitted.feature_names_in_) == ["age", "income", "job", "note"]
    assert fitted.n_features_in_ == 4
    assert fitted.n_iter_ == 1
    assert isinstance(fitted.schema_, Schema)


def test_a_pickle_has_equal_scores(fitted):
    rows = table(20, seed=2)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(again.score_samples(rows), fitted.score_samples(rows), rtol=1e-6)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.score_samples(rows)


def test_arrays_come_back_as_arrays_with_missing_cells():
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[:9, 1] = np.nan
    density = TableDensity(random_state=0, **TINY).fit(X)
    assert density.sample(40).shape == (40, 2)
    assert np.isfinite(density.score_samples(X)).all()
    assert density.schema_.names == ("x0", "x1")
    with pytest.raises(ValueError, match="minimum of 10 is required"):
        density.fit(X[:9])
    with pytest.raises(ValueError, match="minimum of 10 is required"):
        density.fit(pd.DataFrame(X[:9]))


@pytest.mark.slow
def test_a_search_finds_the_longer_training():
    search = GridSearchCV(
        TableDensity(random_state=0, **TINY).set_params(batch_size=16, learning_rate=0.01),
        {"max_epochs": [1, 15]},
        cv=2,
    )
    x = np.random.default_rng(0).normal(size=(200, 1))
    search.fit(np.hstack([x, 2 * x + 0.1 * np.random.default_rng(1).normal(size=(200, 1))]))
    assert search.best_params_ == {"max_epochs": 15}
