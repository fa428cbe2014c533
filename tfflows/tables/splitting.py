"""Which rows of a table are for training, for validation and for the test."""

from typing import Any

from tfflows.datasets.splits import split_rows


def train_validation_test(
    data: Any, validation: float = 0.1, test: float = 0.1, seed: int = 0, name: str = "data"
) -> tuple[Any, Any, Any]:
    """A pandas DataFrame in three, each in the order of its rows.

    Args:
        data: `[n]` rows.
        validation, test: fractions of the rows.
        seed: of the permutation that draws them.
        name: of the data, for messages.

    Raises:
        ValueError: fractions that cannot be, or a part without rows.

    Example:
        >>> import pandas as pd
        >>> parts = train_validation_test(pd.DataFrame({"x": range(100)}))
        >>> [len(part) for part in parts]
        [80, 10, 10]
    """
    fractions = {"validation": validation, "test": test}
    train, held_out, tested = (
        data.iloc[split_rows(name, len(data), split, fractions, seed)].reset_index(drop=True)
        for split in ("train", "validation", "test")
    )
    return train, held_out, tested
