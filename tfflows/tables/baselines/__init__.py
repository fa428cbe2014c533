"""Simple exact densities of tables, to stand beside a model's.

All have `fit(schema, cells)`, `log_prob(cells)` on the model's measure (density in the column's
own units, mass of discrete cells, atoms and missing cells) and `sample(n, seed)`.
"""

from tfflows.tables.baselines.chow_liu_tree import ChowLiuTree
from tfflows.tables.baselines.gaussian_copula import GaussianCopula
from tfflows.tables.baselines.independent_columns import IndependentColumns

__all__ = ["ChowLiuTree", "GaussianCopula", "IndependentColumns"]
