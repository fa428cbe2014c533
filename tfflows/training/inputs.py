"""What fit, evaluate and adapt are given: taking it apart, and refusing what cannot be right."""

import itertools
import types

import keras
import numpy as np
from keras import ops

from tfflows.utils.checks import check_shape


def split_condition(inputs, condition=None):
    """(x, condition) from x, a pair, or a dict with the keys "x" and "condition"."""
    if isinstance(inputs, dict):
        unknown = sorted(set(inputs) - {"x", "condition"})
        if "x" not in inputs or unknown:
            raise ValueError(
                'A dict of inputs wants the keys "x" and, where the flow is conditional, '
                f'"condition". Received: {sorted(inputs)}'
            )
        return inputs["x"], inputs.get("condition")
    if isinstance(inputs, tuple):
        if len(inputs) == 1:
            return inputs[0], condition
        if len(inputs) != 2:
            raise ValueError(f"Inputs want x or (x, condition). Received: {len(inputs)} parts")
        return inputs
    return inputs, condition


def is_array(data) -> bool:
    """Whether `data` lie in memory, and are no dataset or generator to draw batches from."""
    return isinstance(data, dict | tuple | list) or hasattr(data, "shape")


def as_arrays(data):
    """x, (x, condition) or a dict of them, with lists and tables made NumPy arrays."""
    if isinstance(data, dict):
        return {key: as_arrays(value) for key, value in data.items()}
    if isinstance(data, tuple):
        return tuple(as_arrays(value) for value in data)
    return data if hasattr(data, "dtype") and hasattr(data, "shape") else np.asarray(data)


def first_batch(data):
    """The first batch of a dataset or generator, and data that still begins with it."""
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
    x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    return x, data


def first_rows(dataset, max_rows: int):
    """x, or (x, condition), of the first batches of a dataset up to at least `max_rows` rows."""
    batches, rows = [], 0
    for batch in dataset:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        batches.append([None if a is None else ops.convert_to_numpy(a) for a in split_condition(x)])
        rows += len(batches[-1][0])
        if rows >= max_rows:
            break
    if not batches:
        raise ValueError(f"The data are empty: no batch came from {type(dataset).__name__}")
    x, condition = zip(*batches, strict=True)
    if condition[0] is None:
        return np.concatenate(x)
    return np.concatenate(x), np.concatenate(condition)


def _prepend(first, generator):
    """A generator of `first` and the rest, in the tuples that Keras wants."""
    for batch in itertools.chain([first], generator):
        yield batch if isinstance(batch, tuple) else (batch,)


def check_events(
    x, event_shape: tuple, data_range: tuple | None = None, integers: bool = False
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
    # The extremes are finite only where every value is; no copy of the data is made.
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = np.argwhere(~np.isfinite(values))
        raise ValueError(
            f"The data hold {len(bad)} values that are NaN or inf; "
            f"the first stands at x[{', '.join(map(str, bad[0]))}]"
        )
    if data_range is not None and (low < data_range[0] or high > data_range[1]):
        raise ValueError(
            f"The flow wants data from {data_range[0]} to {data_range[1]}. "
            f"Received: values from {low} to {high}"
        )
    if integers and not np.issubdtype(values.dtype, np.integer):
        fractions = values[values != np.floor(values)]
        if fractions.size:
            raise ValueError(
                "The flow dequantizes, and wants whole numbers such as raw pixels. "
                f"Received: {fractions.size} others, the first {fractions[0]}"
            )


def check_weights(sample_weight):
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
