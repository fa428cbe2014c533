"""What fit, evaluate and adapt are given: opening it, and refusing what cannot be right."""

import itertools
import time
import types
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.datasets.column_checks import ColumnSample, warn_of_discrete
from tfflows.datasets.readers.float32 import merged_columns
from tfflows.layers import FlowLayer
from tfflows.training.batch import Batch
from tfflows.utils.checks import check_shape

# Of a dataset, for statistics: reading all of a large one would take long.
MAX_READ_BATCHES = 1_000
MAX_READ_SECONDS = 30.0
MIN_SPREAD_BATCHES = 16  # whose rows are used, where batches are large


def is_array(data: Any) -> bool:
    """Whether `data` lie in memory, and are no dataset or generator to draw batches from."""
    return isinstance(data, dict | tuple | list) or hasattr(data, "shape")


def as_arrays(data: Any) -> Any:
    """x, (x, condition) or a dict of them, with lists and tables made NumPy arrays."""
    if isinstance(data, dict):
        return {key: as_arrays(value) for key, value in data.items()}
    if isinstance(data, tuple):
        return tuple(as_arrays(value) for value in data)
    if hasattr(data, "dtype") and hasattr(data, "shape") and not hasattr(data, "to_numpy"):
        return data
    array = np.asarray(data)
    if array.dtype == object and hasattr(data, "to_numpy"):
        return _table_as_array(data)
    return array


def _table_as_array(table):
    """A pandas table whose columns have several types, or may lack values, which become NaN."""
    try:
        return table.to_numpy(dtype="float64", na_value=np.nan)
    except (TypeError, ValueError):
        kinds = table.dtypes
        names = [f"{name} ({kind})" for name, kind in getattr(kinds, "items", list)()]
        raise ValueError(
            "Expected a table of numbers: leave columns of text out, or make them numbers. "
            f"Received: {', '.join(names) or kinds}"
        ) from None


def arrange(batch: Any, is_conditional: bool) -> tuple[Any, Any, Any]:
    """(x or (x, condition), target, weight) of a batch as datasets yield it.

    A flow has no targets: the second part of a batch is the condition of a conditional flow.

    Args:
        batch: x, (x,), (x, condition), (x, condition, weight), or a dict of x and condition.
        is_conditional: whether the flow takes conditions.

    Raises:
        ValueError: there is a second part, and the flow takes no condition.
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    if y is None or (weight is not None and not is_conditional):
        return x, None, weight  # Keras itself drops weights that have no target beside them
    if not is_conditional:
        raise ValueError(
            "The flow takes no condition and has no targets, and expects batches of x: map them, "
            "as in dataset.map(lambda x, y: x). Received: batches of two parts, (x, y)"
        )
    if isinstance(x, dict | tuple | list):
        return x, None, weight
    return (x, y), None, weight


def read_rows(data: Any, max_rows: int | None, is_conditional: bool) -> tuple[Any, Batch]:
    """Data that Keras takes, and rows of them: all of arrays, `max_rows` or fewer of a dataset.

    Rows of a dataset are spread over its batches where their number is known, and are the first
    ones otherwise. What is read of a generator is put before the rest of it.

    Args:
        data: what `fit` takes.
        max_rows: of a dataset; None takes its first batch.
        is_conditional: whether the second part of a batch is its condition.

    Raises:
        ValueError: there are no data, or a dataset without a batch.
    """
    if data is None:
        raise ValueError("Expected data: x, (x, condition), a dict or a dataset. Received: None")
    if is_array(data):
        data = as_arrays(data)
        return data, Batch.parse(data)
    read = list(_some_batches(data, max_rows))
    if not read:
        raise ValueError(f"The data are empty: no batch came from {type(data).__name__}")
    if isinstance(data, types.GeneratorType):
        data = _prepend(read, data)
    batches = []
    for batch in read:
        x, _, weight = arrange(batch, is_conditional)
        batches.append(Batch.parse(x, weight=weight))
    if max_rows is None:
        return data, batches[0]
    share = -(-max_rows // len(batches))
    return data, Batch.concatenate([batch.spread(share) for batch in batches])


def _some_batches(data, max_rows):
    """The first batch of a dataset, and others until there are `max_rows` rows."""
    is_indexed, length = isinstance(data, keras.utils.PyDataset), _length(data)
    iterator = map(data.__getitem__, itertools.count()) if is_indexed else iter(data)
    first = None if length == 0 else next(iterator, None)
    if first is None:
        return
    yield first
    if max_rows is None:
        return
    count = -(-max_rows // max(1, keras.tree.flatten(first)[0].shape[0]))
    places = range(count)
    if length is not None:
        span = length if is_indexed else min(length, MAX_READ_BATCHES)
        count = min(span, max(count, MIN_SPREAD_BATCHES))
        places = np.unique(np.linspace(0, span - 1, count).astype(int)).tolist()
    end = time.monotonic() + MAX_READ_SECONDS
    for place in range(1, places[-1] + 1) if not is_indexed else places[1:]:
        batch = data[place] if is_indexed else next(iterator, None)
        if batch is None or time.monotonic() > end:
            return
        if place in places:
            yield batch


def _length(data):
    """Number of batches of a dataset, or None where it does not say."""
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches
    if hasattr(data, "cardinality"):  # of tf.data; negative where it is unknown or infinite
        cardinality = int(data.cardinality())
        return None if cardinality < 0 else cardinality
    return len(data) if hasattr(data, "__len__") else None


def _prepend(first, generator):
    """A generator of the batches `first` and the rest, in the tuples that Keras expects."""
    for batch in itertools.chain(first, generator):
        yield batch if isinstance(batch, tuple) else (batch,)


def check_events(
    x: Any,
    event_shape: tuple,
    layer: FlowLayer | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Raise ValueError unless x is `[n, *event_shape]` of finite numbers that a layer takes.

    Args:
        x: array or tensor with a shape and a dtype.
        event_shape: shape of one event.
        layer: the first layer that changes values, or None.
        names: of the columns of x, or None.
    """
    check_shape(x, event_shape)
    if x.shape[0] == 0:
        raise ValueError(f"The data are empty. Received: x of shape {tuple(x.shape)}")
    values = ops.convert_to_numpy(x)
    check_finite("x", values)
    if layer is not None:
        layer.check_data(values, names)


def warn_raw_pixels(x: Any) -> None:
    """Warn where images are whole numbers up to 255 for a flow that takes them as real numbers."""
    values = ops.convert_to_numpy(x)
    if 1 < values.max() <= 255 and values.min() >= 0 and (values == np.floor(values)).all():
        warnings.warn(
            f"The data look like raw pixels, whole numbers from {values.min()} to {values.max()}, "
            "and the flow takes them as real numbers, whose likelihood has no bound. Put "
            "layers.Dequantize(256) first, by quantization_levels=256 or preprocessing=",
            stacklevel=4,
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


def warn_of_table(names: tuple[str, ...], batch: Batch) -> None:
    """Warn of columns without a density in rows of a table with these names of columns."""
    sample = ColumnSample(len(names))
    sample.add(batch.numpy().x)
    cure = (
        "Add uniform noise from [0, 1) to columns of whole numbers; leave others out, or make them "
        "the condition"
    )
    warn_of_discrete("The table", names, sample, cure)


def check_float32(x: Any) -> None:
    """ValueError for columns of x `[n, d]` whose values float32 cannot tell apart."""
    if not isinstance(x, np.ndarray):
        return  # a tensor has been rounded already, or is exact
    shown = [
        f"{column} ({exact:,} different values, of which float32 keeps {kept:,})"
        for column, exact, kept in merged_columns(x)[:20]
    ]
    if shown:
        raise ValueError(
            "Expected columns whose values float32 can tell apart: subtract a constant, or rescale "
            f"them. Received: x with columns {', '.join(shown)}"
        )


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
