"""Tables from what users have: pandas, Arrow, dicts of arrays and files."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfflows.utils.damage import shortened
from tfflows.utils.suggest import nearest


def to_frame(data: Any, names: Sequence[str] | None = None) -> Any:
    """A table in memory as a DataFrame of the columns named; None takes all.

    Raises:
        ValueError: no such column, columns of the same name, or of different lengths.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, Mapping):
        frame = pd.DataFrame({str(name): pd.Series(values) for name, values in data.items()})
    else:
        raise ValueError(
            f"Expected a pandas DataFrame or a dict of arrays. Received: {shortened(data)}"
        )
    if not frame.columns.is_unique:
        repeated = list(frame.columns[frame.columns.duplicated()].unique())
        raise ValueError(
            f"Expected columns of different names. Received: {shortened(repeated, 200)} twice"
        )
    if names is None:
        return frame
    for name in names:
        if name not in frame.columns:
            near = nearest(str(name), map(str, frame.columns))
            raise ValueError(
                f"Expected the data to have a column {name!r}. Received: "
                f"{shortened(list(map(str, frame.columns)), 200)}{near}"
            )
    return frame[list(names)]
