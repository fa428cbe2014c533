"""Data that fit on the device and stay there: one upload, and batches gathered there."""

import math

import keras
import numpy as np
from keras import ops
from keras.src.trainers.data_adapters import get_data_adapter
from keras.src.trainers.data_adapters.array_slicing import train_validation_split

from tfflows.datasets.batches import Batches
from tfflows.datasets.rows import Rows
from tfflows.training.grouped_batches import GroupedBatches
from tfflows.training.inputs import is_array
from tfflows.training.steps_per_execution import MAX_STEPS

_DATA_ARGUMENTS = ("x", "y", "sample_weight", "batch_size", "steps_per_epoch", "class_weight")

# Data up to these go to the device: on a CPU and where the device's memory is not known ...
MAX_BYTES = 2**30
MAX_DEVICE_SHARE = 1 / 8  # ... and of an accelerator's memory.
MAX_GROUP_BYTES = 2**26  # of a group that is put together on the host


def group_training(arguments: dict, size: int | None, device_data: bool | str = "auto") -> dict:
    """The arguments of Keras' `fit`, with data in groups of `size` batches.

    Streams stay as they are where `size` is None or 1, and on TensorFlow, whose datasets Keras
    reads within its compiled loop.

    Args:
        arguments: those of Keras' `fit`, by name.
        size: batches per compiled call; None leaves it open, up to `MAX_STEPS`.
        device_data: whether the data go to the device at once and stay there; "auto" says so of
            arrays that take a small part of its memory.

    Raises:
        ValueError: `device_data` is True, and the data are a stream of batches.
    """
    arguments = _with_validation_data(arguments)
    data = {name: arguments.get(name) for name in _DATA_ARGUMENTS}
    data["shuffle"] = arguments.get("shuffle", True)
    return _with_x(arguments, _group(data, size, device_data))


def group_validation(arguments: dict, size: int, device_data: bool | str = "auto") -> dict:
    """The arguments of Keras' `fit`, with validation data in groups of `size` batches."""
    validation = arguments.get("validation_data")
    if validation is None:
        return arguments
    x, y, weight = keras.utils.unpack_x_y_sample_weight(validation)
    data = {
        "x": x,
        "y": y,
        "sample_weight": weight,
        "batch_size": arguments.get("validation_batch_size") or arguments.get("batch_size"),
        "steps_per_epoch": arguments.get("validation_steps"),
    }
    grouped = _group(data, size, bool(device_data) and "auto")
    return arguments if grouped is None else {**arguments, "validation_data": grouped}


def group_evaluation(arguments: dict, size: int) -> dict:
    """The arguments of Keras' `evaluate`, with data in groups of `size` batches."""
    data = {name: arguments.get(name) for name in _DATA_ARGUMENTS}
    return _with_x(arguments, _group({**data, "steps_per_epoch": arguments.get("steps")}, size))


def rows_of_a_batch(arguments: dict) -> int | None:
    """Rows per batch of Keras' `fit` or `evaluate` by these arguments; None of a stream."""
    x = arguments.get("x")
    if isinstance(x, Batches):
        return x.batch_size
    return arguments.get("batch_size") or (32 if is_array(x) else None)


def _with_x(arguments, grouped):
    """The arguments with these batches, which are what the others of the data describe."""
    if grouped is None:
        return arguments
    names = ("y", "sample_weight", "class_weight", "shuffle")
    return {name: value for name, value in arguments.items() if name not in names} | {"x": grouped}


def _with_validation_data(arguments):
    """The arguments with `validation_data` instead of `validation_split`, as Keras splits."""
    split = arguments.get("validation_split")
    if not split or arguments.get("validation_data") is not None:
        return dict(arguments)
    data = tuple(arguments.get(name) for name in ("x", "y", "sample_weight"))
    (x, y, weight), validation = train_validation_split(data, validation_split=split)
    return {**arguments, "x": x, "y": y, "sample_weight": weight, "validation_data": validation}


def _group(data, size, device_data: bool | str = "auto"):
    """The batches of these arguments in groups, or None where Keras' own are as good."""
    x, steps = data["x"], data.get("steps_per_epoch")
    rows = _all_rows(data)
    if rows is None:
        if device_data is True:
            raise ValueError(
                "device_data=True expects x, (x, condition) or a dict of arrays, which can go to "
                f"the device at once. Received: {type(x).__name__}"
            )
        if size in (None, 1) or keras.backend.backend() == "tensorflow":
            return None
        return GroupedBatches(get_data_adapter(**data), size, size, steps)
    on_device = _on_device(rows, device_data)
    if on_device is None:
        batches = get_data_adapter(**data)
    elif isinstance(x, Batches):
        numbers = Rows(np.arange(len(x.rows), dtype="int32"))
        batches = get_data_adapter(Batches(numbers, x.batch_size, x.seed, x.first_step))
    else:
        numbers = np.arange(keras.tree.flatten(x)[0].shape[0], dtype="int32")
        order = {name: data.get(name) for name in ("batch_size", "steps_per_epoch", "shuffle")}
        batches = get_data_adapter(numbers, **order)
    per_epoch = steps or batches.num_batches  # None where the batches have no end
    capacity = min(size or MAX_STEPS, per_epoch or size or MAX_STEPS)
    if size is None and on_device is None:  # a group is put together on the host
        per_pass = x.batches_per_pass if isinstance(x, Batches) else batches.num_batches
        capacity = max(1, min(capacity, MAX_GROUP_BYTES * per_pass // _bytes(rows)))
    return GroupedBatches(batches, min(size or 1, capacity), capacity, steps, on_device)


def _on_device(data, device_data):
    """Arrays of all rows on the device, in the structure of a batch, or None."""
    if not device_data or (device_data == "auto" and _bytes(data) > _max_bytes()):
        return None
    return keras.tree.map_structure(
        lambda array: None if array is None else ops.convert_to_tensor(_in_floatx(array)), data
    )


def _bytes(data) -> int:
    arrays = [array for array in keras.tree.flatten(data) if array is not None]
    return sum(math.prod(array.shape) * np.dtype(array.dtype).itemsize for array in arrays)


def _all_rows(arguments):
    x = arguments["x"]
    if isinstance(x, Batches):
        x, condition = x.rows.x, x.rows.condition
        return (x,) if condition is None else {"x": x, "condition": condition}
    if arguments.get("class_weight") is not None or not is_array(x):
        return None
    return keras.utils.pack_x_y_sample_weight(x, arguments.get("y"), arguments.get("sample_weight"))


def _max_bytes() -> float:
    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            memory = (device.memory_stats() or {}).get("bytes_limit", 0)
            return max(MAX_BYTES, MAX_DEVICE_SHARE * memory)
    return MAX_BYTES


def _in_floatx(array):
    """The array, with floats as Keras' own batches of arrays have them."""
    if not hasattr(array, "devices"):  # of JAX, which stays where it is
        array = np.asarray(array[:])
    if keras.backend.is_float_dtype(array.dtype):
        return array.astype(keras.config.floatx())
    return array
