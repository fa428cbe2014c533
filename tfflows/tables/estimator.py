"""A table flow as a scikit-learn estimator."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import (
    check_is_fitted,
    validate_data,
)

from tfflows.tables.fitting import MIN_ROWS, fit
from tfflows.tables.schema import Schema


class TableDensity(DensityMixin, BaseEstimator):
    """Density of the rows of a table by a `TableFlow`, with the calls of scikit-learn.

    X is a DataFrame, whose columns may hold numbers, text, booleans, dates and missing cells, or an
    array `[n, columns]`, whose columns are called x0, x1, ...

    Args:
        schema: of the table; inferred from X by default.
        width, num_blocks, num_components, dropout: those of `TableFlow`; None chooses by the number
            of rows.
        order: "random", or the names of all columns in the order that is trained.
        validation: share of the rows that is held out, by which training stops.
        max_epochs, max_minutes: training ends then at the latest.
        learning_rate: the first.
        batch_size: rows per step; None chooses by the number of rows.
        random_state: seed of the fit, and of samples.
        verbose: that of `keras.Model.fit`.

    Attributes:
        flow_: the fitted `TableFlow`.
        schema_: its schema.
        n_features_in_: number of columns.
        feature_names_in_: their names, where X was a DataFrame.
        n_iter_: epochs that were trained.

    Example:
        density = tfflows.tables.TableDensity(random_state=0).fit(frame)
        unusual = frame[density.score_samples(frame) < -20]
        more = density.sample(1000)
    """

    def __init__(
        self,
        schema: Schema | None = None,
        *,
        width: int | None = None,
        num_blocks: int | None = None,
        num_components: int | None = None,
        dropout: float | None = None,
        order: str | list[str] = "random",
        validation: float = 0.1,
        max_epochs: int = 200,
        max_minutes: float | None = None,
        learning_rate: float = 1e-3,
        batch_size: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | str = 0,
    ):
        self.schema = schema
        self.width = width
        self.num_blocks = num_blocks
        self.num_components = num_components
        self.dropout = dropout
        self.order = order
        self.validation = validation
        self.max_epochs = max_epochs
        self.max_minutes = max_minutes
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: None = None) -> "TableDensity":
        """Fit the flow to rows; y is ignored.

        Raises:
            ValueError: X has fewer than ten rows, or a cell that does not fit the schema.
        """
        frame = self._frame(X, is_first=True)
        settings = {
            name: getattr(self, name)
            for name in ("width", "num_blocks", "num_components", "dropout")
            if getattr(self, name) is not None
        }
        self.flow_ = fit(
            frame,
            self.schema,
            validation=self.validation,
            max_epochs=self.max_epochs,
            max_minutes=self.max_minutes,
            seed=self._seed(),
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            verbose=self.verbose,
            order=self.order,
            **settings,
        )
        self.schema_ = self.flow_.schema
        self.n_iter_ = len(self.flow_.history.epoch)
        self._is_frame = isinstance(X, pd.DataFrame)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """log p of each row in nats, `[n]`, in the units of X."""
        check_is_fitted(self)
        return self.flow_.log_prob(self._frame(X)).astype("float64")

    def score(self, X: Any, y: None = None) -> float:
        """Mean of log p over the rows, as `GaussianMixture` has it; y is ignored."""
        return float(self.score_samples(X).mean())

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> Any:
        """Draw rows, as a DataFrame or an array, whichever the flow was fitted to.

        Args:
            n_samples: number of rows.
            random_state: None takes the estimator's own.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"Expected `n_samples` to be at least 1. Received: {n_samples}")
        frame = self.flow_.sample(n_samples, seed=self._seed(random_state))
        return frame if self._is_frame else frame.to_numpy()

    def _seed(self, random_state=None):
        chosen = self.random_state if random_state is None else random_state
        return int(check_random_state(chosen).randint(2**31 - 1))

    def _frame(self, X, is_first=False):
        """X as a DataFrame of the columns that were fitted."""
        least = MIN_ROWS if is_first else 1
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=is_first, skip_check_array=True)
            if min(X.shape) == 0 or len(X) < least:
                check_array(np.zeros(X.shape), ensure_min_samples=least)
            names = list(X.columns)
        else:
            X = validate_data(
                self,
                X,
                reset=is_first,
                dtype=None,
                ensure_all_finite="allow-nan",
                ensure_min_samples=least,
            )
            names = [f"x{i}" for i in range(X.shape[1])]
        if not is_first:
            names = list(getattr(self, "feature_names_in_", names))
        return pd.DataFrame(X).set_axis(names, axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
