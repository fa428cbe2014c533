"""Data that fit on the device and stay there: one upload, and batches gathered there."""

import keras
import numpy as np
from keras.src.trainers.data_adapters import get_data_adapter
from keras.src.trainers.data_adapters.array_slicing import train_validation_split

from tfflows.datasets.batches import Batches
from tfflows.datasets.rows import Rows
from tfflows.training.grouped_batches import GroupedBatches
from tfflows.training.inputs import is_array

_DATA_ARGUMENTS = ("x", "y", "sample_weight", "batch_size", "steps_per_epoch", "class_weight")

MAX_HOST_BYTES = 2**30  # on a CPU, where the device's memory is everybody's
MAX_DEVICE_SHARE = 1 / 8  # of an accelerator's memory


def group_fit(arguments: dict, size: int, device_data: bool | str = "auto") -> dict:
    """The arguments of Keras' `fit`, with data in groups of `size` batches.

    Args:
        arguments: those of Keras' `fit`, by name.
        size: batches per compiled call.
        device_data: whether the data go to the device at once and stay there; "auto" says so of
            arrays that take a small part of its memory.

    Raises:
        ValueError: `device_data` is True, and the data are a stream of batches.
    """
    arguments = _with_validation_data(arguments)
    train = {name: arguments.get(name) for name in _DATA_ARGUMENTS}
    train["shuffle"] = arguments.get("shuffle", True)
    grouped = _group(train, size, device_data)
    validation = arguments.get("validation_data")
    if validation is not None:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(validation)
        batch_size = arguments.get("validation_batch_size") or arguments.get("batch_size")
        steps = arguments.get("validation_steps")
        data = {"x": x, "y": y, "sample_weight": weight, "batch_size": batch_size}
        data = _group({**data, "steps_per_epoch": steps}, size, bool(device_data) and "auto")
        arguments["validation_data"] = validation if data is None else data
    return arguments if grouped is None else _with_x(arguments, grouped)


def group_evaluate(arguments: dict, size: int) -> dict:
    """As `group_fit` for the arguments of Keras' `evaluate`."""
    data = {name: arguments.get(name) for name in _DATA_ARGUMENTS}
    grouped = _group({**data, "steps_per_epoch": arguments.get("steps")}, size, "auto")
    return arguments if grouped is None else _with_x(arguments, grouped)


def _with_x(arguments, grouped):
    """The arguments with these batches, which are what the others of the data describe."""
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


def _group(data, size, device_data):
    """The batches of these arguments in groups, or None where Keras' own are as good."""
    steps = data["steps_per_epoch"]
    arrays = _resident(data, device_data)
    if arrays is None:
        return None if size == 1 else GroupedBatches(get_data_adapter(**data), size, steps)
    x = data["x"]
    if isinstance(x, Batches):
        rows = Rows(np.arange(len(x.rows), dtype="int32"))
        batches = get_data_adapter(Batches(rows, x.batch_size, x.seed, x.first_step))
    else:
        rows = np.arange(keras.tree.flatten(x)[0].shape[0], dtype="int32")
        order = {name: data.get(name) for name in ("batch_size", "steps_per_epoch", "shuffle")}
        batches = get_data_adapter(rows, **order)
    return GroupedBatches(batches, size, steps, arrays)


def _resident(arguments, device_data):
    """Arrays of all rows on the device, in the structure of a batch, or None."""
    import jax

    data = _all_rows(arguments)
    if data is None:
        if device_data is True:
            raise ValueError(
                "device_data=True expects x, (x, condition) or a dict of arrays, which can go to "
                f"the device at once. Received: {type(arguments['x']).__name__}"
            )
        return None
    arrays = [array for array in keras.tree.flatten(data) if array is not None]
    bytes_ = sum(int(np.prod(array.shape)) * np.dtype(array.dtype).itemsize for array in arrays)
    if not device_data or (device_data == "auto" and bytes_ > _max_bytes(jax.devices()[0])):
        return None
    return keras.tree.map_structure(
        lambda array: None if array is None else jax.device_put(_in_floatx(array)), data
    )


def _all_rows(arguments):
    x = arguments["x"]
    if isinstance(x, Batches):
        x, condition = x.rows.x, x.rows.condition
        return (x,) if condition is None else {"x": x, "condition": condition}
    if arguments.get("class_weight") is not None or not is_array(x):
        return None
    return keras.utils.pack_x_y_sample_weight(x, arguments.get("y"), arguments.get("sample_weight"))


def _max_bytes(device) -> float:
    if device.platform == "cpu":
        return MAX_HOST_BYTES
    return MAX_DEVICE_SHARE * (device.memory_stats() or {}).get("bytes_limit", 8 * MAX_HOST_BYTES)


def _in_floatx(array):
    """The array, with floats as Keras' own batches of arrays have them."""
    if not hasattr(array, "devices"):  # of JAX, which stays where it is
        array = np.asarray(array[:])
    if keras.backend.is_float_dtype(array.dtype):
        return array.astype(keras.config.floatx())
    return array
