"""How far samples are from rows: a two-sample classifier, and a classifier that learns on samples.

Both are scikit-learn's gradient-boosted trees with their default settings.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict


def as_features(frame: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """Numbers as they are, all else as categories of the values in `like`; others are missing."""
    features = {}
    for name in like:
        if pd.api.types.is_numeric_dtype(like[name]):
            features[name] = frame[name].astype("float64").to_numpy()
        else:
            levels = sorted(like[name].astype(str).unique())
            features[name] = pd.Categorical(frame[name].astype(str), categories=levels)
    return pd.DataFrame(features)


def two_sample_auc(
    rows: pd.DataFrame, samples: pd.DataFrame, like: pd.DataFrame, repeats: int = 5, seed: int = 0
) -> np.ndarray:
    """Area under the ROC curve with which trees tell rows from samples; 0.5 if they cannot.

    Each repeat takes other samples, as many as there are rows, and predicts by 5-fold
    cross-validation.

    Args:
        rows: held-out rows.
        samples: at least `repeats` times as many.
        like: what the categories are taken from: the whole table.

    Returns:
        `[repeats]`.
    """
    size, areas = len(rows), []
    for repeat in range(repeats):
        part = samples.iloc[repeat * size : (repeat + 1) * size]
        if len(part) < size:
            raise ValueError(f"Expected {repeats * size} samples. Received: {len(samples)}")
        both = as_features(pd.concat([rows, part], ignore_index=True), like)
        is_row = np.repeat([1, 0], [size, size])
        classifier = HistGradientBoostingClassifier(
            categorical_features="from_dtype", random_state=seed
        )
        folds = StratifiedKFold(5, shuffle=True, random_state=seed + repeat)
        scores = cross_val_predict(classifier, both, is_row, cv=folds, method="predict_proba")
        areas.append(roc_auc_score(is_row, scores[:, 1]))
    return np.array(areas)


def classifier_scores(
    train: pd.DataFrame, test: pd.DataFrame, target: str, positive: str, like: pd.DataFrame
) -> tuple[float, float]:
    """Accuracy and area under the ROC curve on `test` of a classifier that learns from `train`."""
    inputs = [name for name in like if name != target]
    classifier = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    classifier.fit(as_features(train, like)[inputs], train[target].astype(str) == positive)
    scores = classifier.predict_proba(as_features(test, like)[inputs])[:, 1]
    truth = test[target].astype(str) == positive
    return float(accuracy_score(truth, scores > 0.5)), float(roc_auc_score(truth, scores))
