"""What fit, evaluate and adapt are given: opening it, and refusing what cannot be right."""

import itertools
import types
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.training.batch import Batch
from tfflows.utils.checks import check_shape


def is_array(data: Any) -> bool:
    """Whether `data` lie in memory, and are no dataset or generator to draw batches from."""
    return isinstance(data, dict | tuple | list) or hasattr(data, "shape")


def as_arrays(data: Any) -> Any:
    """x, (x, condition) or a dict of them, with lists and tables made NumPy arrays."""
    if isinstance(data, dict):
        return {key: as_arrays(value) for key, value in data.items()}
    if isinstance(data, tuple):
        return tuple(as_arrays(value) for value in data)
    return data if hasattr(data, "dtype") and hasattr(data, "shape") else np.asarray(data)


def open_data(data: Any) -> tuple[Any, Batch]:
    """Data that Keras takes, and a batch of them: all rows of arrays, the first of a dataset.

    Raises:
        ValueError: there are no data, or a dataset without a batch.
    """
    if data is None:
        raise ValueError("Expected data: x, (x, condition), a dict or a dataset. Received: None")
    if is_array(data):
        data = as_arrays(data)
        return data, Batch.parse(data)
    if isinstance(data, keras.utils.PyDataset):
        batch = data[0] if data.num_batches != 0 else None
    elif isinstance(data, types.GeneratorType):
        batch = next(data, None)
        if batch is not None:
            data = _prepend(batch, data)
    else:
        batch = next(iter(data), None)
    if batch is None:
        raise ValueError(f"The data are empty: no batch came from {type(data).__name__}")
    return data, _parse_of_dataset(batch)


def first_rows(data: Any, max_rows: int) -> Batch:
    """Rows for statistics: evenly spread ones of arrays, the first ones of a dataset.

    Args:
        data: as `open_data` takes them.
        max_rows: how many rows of arrays at most; batches of a dataset are taken until they have
            as many.
    """
    if data is None or is_array(data):
        return open_data(data)[1].spread(max_rows)
    batches, rows = [], 0
    for batch in data:
        batches.append(_parse_of_dataset(batch).numpy())
        rows += len(batches[-1])
        if rows >= max_rows:
            break
    if not batches:
        raise ValueError(f"The data are empty: no batch came from {type(data).__name__}")
    return Batch.concatenate(batches).spread(max_rows)


def _parse_of_dataset(batch):
    x, _, weight = keras.utils.unpack_x_y_sample_weight(batch)
    return Batch.parse(x, weight=weight)


def _prepend(first, generator):
    """A generator of `first` and the rest, in the tuples that Keras expects."""
    for batch in itertools.chain([first], generator):
        yield batch if isinstance(batch, tuple) else (batch,)


def check_events(
    x: Any, event_shape: tuple, data_range: tuple | None = None, integers: bool = False
) -> None:
    """Raise ValueError unless x is `[n, *event_shape]` of finite numbers in `data_range`.

    Args:
        x: array or tensor with a shape and a dtype.
        event_shape: shape of one event.
        data_range: smallest and largest value allowed, or None.
        integers: whether every value must be a whole number.
    """
    check_shape(x, event_shape)
    if x.shape[0] == 0:
        raise ValueError(f"The data are empty. Received: x of shape {tuple(x.shape)}")
    values = ops.convert_to_numpy(x)
    low, high = check_finite("x", values)
    if data_range is not None and (low < data_range[0] or high > data_range[1]):
        raise ValueError(
            f"Expected data from {data_range[0]} to {data_range[1]}. "
            f"Received: values from {low} to {high}"
        )
    if integers and not np.issubdtype(values.dtype, np.integer):
        fractions = values[values != np.floor(values)]
        if fractions.size:
            raise ValueError(
                "The flow dequantizes, and expects whole numbers such as raw pixels. "
                f"Received: {fractions.size} others, the first {fractions[0]}"
            )


def check_finite(name: str, values: np.ndarray) -> tuple:
    """Smallest and largest of `values`, of which there must be some.

    Raises:
        ValueError: a value is NaN or infinite; its row is named.
    """
    # The extremes are finite only where every value is; no copy of the data is made.
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = np.argwhere(~np.isfinite(values))
        raise ValueError(
            f"The data hold {len(bad)} values that are NaN or inf; "
            f"the first stands at {name}[{', '.join(map(str, bad[0]))}]"
        )
    return low, high


def check_weights(sample_weight: Any) -> np.ndarray | None:
    """`sample_weight` as an array; ValueError unless its values are finite and not negative."""
    if sample_weight is None:
        return None
    weights = ops.convert_to_numpy(sample_weight)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            "sample_weight must be finite and not negative. "
            f"Received: values from {weights.min()} to {weights.max()}"
        )
    return weights
