"""How well a classifier tells samples from rows."""

from collections.abc import Mapping

import numpy as np

from tfflows.tables.associations import is_unordered
from tfflows.tables.columns import Cells
from tfflows.tables.schema import Schema

_FOLDS = 5
_MAX_CATEGORIES = 254  # more do not fit scikit-learn's bins


def two_sample_auc(
    schema: Schema, rows: Mapping[str, Cells], samples: Mapping[str, Cells], seed: int = 0
) -> float:
    """Area under the ROC curve with which gradient-boosted trees tell samples from rows.

    0.5 if they cannot, 1 if they always can. The trees are scikit-learn's
    `HistGradientBoostingClassifier` with its defaults, and predict rows that they have not learnt
    from, in five folds (Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests",
    https://arxiv.org/abs/1610.06545).

    Args:
        schema: of the columns.
        rows, samples: cells of all columns, about as many of both, at least five.
        seed: of the folds and the trees.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits  # scikit-learn requires it

    features, is_category = [], []
    for column in schema:
        both = Cells(
            *map(np.concatenate, zip(rows[column.name], samples[column.name], strict=True))
        )
        feature = both.values.astype("float64")
        is_name = is_unordered(column)
        if is_name:
            # Codes by frequency: the rarest of very many share the last one.
            codes, counts = np.unique(both.values, return_counts=True)
            rank = np.argsort(np.argsort(-counts, kind="stable"))
            feature = np.minimum(rank[np.searchsorted(codes, both.values)], _MAX_CATEGORIES - 1)
            feature = feature.astype("float64")
        features.append(np.where(both.missing, np.nan, feature))
        is_category.append(is_name)
    is_sample = np.repeat(
        [0, 1], [len(next(iter(part.values())).values) for part in (rows, samples)]
    )
    # Several threads are hardly faster on so few rows, and far slower where cores are shared.
    with threadpool_limits(1):
        scores = cross_val_predict(
            HistGradientBoostingClassifier(categorical_features=is_category, random_state=seed),
            np.stack(features, axis=1),
            is_sample,
            cv=StratifiedKFold(_FOLDS, shuffle=True, random_state=seed),
            method="predict_proba",
        )
    return float(roc_auc_score(is_sample, scores[:, 1]))
