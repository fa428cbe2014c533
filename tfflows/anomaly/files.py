"""Files of rows for a detector, with labels where a column has them, and files of its scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfflows.anomaly.rows import is_frame, read_rows
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.damage import damage_named
from tfflows.utils.suggest import nearest

TABLES, ARRAYS = (".csv", ".parquet"), (".npz", ".npy")
OUTPUTS = (".csv", ".parquet")


class Labelled(NamedTuple):
    """Rows as `read_rows` gives them, and their labels bool `[n]`, True for anomalies, or None."""

    rows: Any
    labels: np.ndarray | None


def read_file(path: str | Path, labels: str | None = None, exclude: Sequence[str] = ()) -> Labelled:
    """The rows of a file in memory.

    Args:
        path: a .csv or .parquet table with a header, or a .npy or .npz file of an array of rows; of
            an .npz file the array X, x, or its only one of two axes or more.
        labels: the column, or the array of an .npz file, that is 1 for anomalies and 0 for normal
            rows.
        exclude: columns to leave out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another kind of file, a damaged one, no such column, or labels other than 0, 1.
    """
    path = Path(path)
    if path.suffix not in TABLES + ARRAYS:
        raise ValueError(
            f"Expected a file of rows that ends in one of {[*TABLES, *ARRAYS]}. Received: {path}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}")
    if path.suffix in ARRAYS:
        return _of_arrays(path, labels, exclude)
    import pandas as pd

    with damage_named(path):
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    for name in [*exclude, *([labels] if labels else [])]:
        if name not in frame:
            names = list(map(str, frame.columns))
            raise ValueError(f"{path} has no column {name!r}{nearest(name, names)}")
    own = check_labels(frame.pop(labels).to_numpy(), f"{path}, {labels!r}") if labels else None
    return Labelled(frame.drop(columns=list(exclude)), own)


def _of_arrays(path, labels, exclude):
    if exclude:
        raise ValueError(f"Columns to leave out are those of a table. Received: {path}")
    with damage_named(path):
        loaded = np.load(path, allow_pickle=False)
        arrays = {"x": loaded} if path.suffix == ".npy" else dict(loaded)
    if labels and labels not in arrays:
        raise ValueError(f"{path} has no array {labels!r}{nearest(labels, list(arrays))}")
    wide = [name for name, array in arrays.items() if array.ndim > 1]
    named = [name for name in ("X", "x") if name in wide]
    if not named and len(wide) != 1:
        raise ValueError(
            f"Expected {path} to hold rows as the array X, or one of two axes or more. "
            f"Received: {sorted(arrays)}"
        )
    rows = read_rows(arrays[(named or wide)[0]])
    own = check_labels(arrays[labels], f"{path}, {labels!r}") if labels else None
    if own is not None and len(own) != len(rows):
        raise ValueError(f"{path}: Expected {len(rows):,} labels. Received: {len(own):,}")
    return Labelled(rows, own)


def check_labels(values: Any, source: str) -> np.ndarray:
    """Labels as bool `[n]`; ValueError unless each is 0 or 1."""
    values = np.asarray(values)
    found = np.unique(values[values == values]) if values.dtype.kind == "f" else np.unique(values)
    holes = int((values != values).sum()) if values.dtype.kind == "f" else 0
    if values.ndim != 1 or holes or not {*found.tolist()} <= {0, 1}:
        came = f"shape {values.shape}" if values.ndim != 1 else str(found[:5].tolist())
        raise ValueError(
            f"{source}: Expected labels that are 1 for anomalies and 0 for normal rows. "
            f"Received: {came}{f' and {holes} missing ones' if holes else ''}"
        )
    return values.astype(bool)


def write_scores(
    path: str | Path, rows: Any, columns: dict[str, np.ndarray], keep: Sequence[str] = ()
) -> None:
    """Write scores of rows in order, as a .csv or .parquet file.

    Args:
        path: of the file.
        rows: a DataFrame or an array.
        columns: what to write, `[n]` each.
        keep: columns of the rows to write before.
    """
    import pandas as pd

    if keep and not is_frame(rows):
        raise ValueError(f"Columns to keep are those of a table. Received: {list(keep)}")
    for name in keep:
        if name not in rows:
            raise ValueError(f"There is no column {name!r}{nearest(name, list(rows.columns))}")
    frame = pd.DataFrame({**{name: rows[name] for name in keep}, **columns})
    with replaced_on_success(path) as temporary:
        if Path(path).suffix == ".csv":
            frame.to_csv(temporary, index=False, float_format="%.9g")
        else:
            frame.to_parquet(temporary, index=False)
