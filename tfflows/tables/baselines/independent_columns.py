"""Every column by itself."""

from collections.abc import Mapping

import numpy as np

from tfflows.tables.baselines.marginals import Marginal, fit_marginal
from tfflows.tables.columns import Cells
from tfflows.tables.schema import Schema


class IndependentColumns:
    """The product of the marginals.

    Numbers have a smoothed histogram, codes smoothed frequencies, atoms and missing cells masses.

    Args:
        schema: of the table.
        marginals: one per column, as `fit` finds them.

    Example:
        >>> schema = Schema([Boolean("smoker"), Integer("age", low=0)])
        >>> cells = schema.parse({"smoker": [True, False, False], "age": [31, 45, 31]})
        >>> IndependentColumns.fit(schema, cells).log_prob(cells).shape
        (3,)
    """

    def __init__(self, schema: Schema, marginals: Mapping[str, Marginal]):
        self.schema = schema
        self.marginals = dict(marginals)

    @classmethod
    def fit(cls, schema: Schema, cells: Mapping[str, Cells]) -> "IndependentColumns":
        """The baseline of the rows in `cells`, which `schema.parse` gives."""
        return cls(schema, {c.name: fit_marginal(c, cells[c.name]) for c in schema})

    def log_prob(self, cells: Mapping[str, Cells]) -> np.ndarray:
        """Log density of each row: density of numbers in their own units, mass of the others.

        Args:
            cells: of all columns, as `schema.parse` gives them.

        Returns:
            float64 `[n]`, in nats.
        """
        return np.sum([m.log_prob(cells[name]) for name, m in self.marginals.items()], axis=0)

    def sample(self, n: int, seed: int = 0) -> dict[str, Cells]:
        """Cells of n rows."""
        rng = np.random.default_rng(seed)
        return {name: m.quantile(rng.random(n)) for name, m in self.marginals.items()}
