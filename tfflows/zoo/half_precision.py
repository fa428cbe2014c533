"""Weights of a model in float16, which take half of the space."""

from pathlib import Path

import h5py
import keras
import numpy as np


def round_weights(model: keras.Model) -> None:
    """Round all weights of real numbers to values of float16, and keep their dtypes.

    What is measured after it is what a file of float16 gives: 11 binary digits of each weight.

    Raises:
        ValueError: a weight is too large for float16, whose largest value is 65,504.
    """
    for variable in model.variables:
        if not keras.backend.is_float_dtype(variable.dtype):
            continue
        rounded = keras.ops.convert_to_numpy(variable).astype("float16")
        if not np.isfinite(rounded).all():
            raise ValueError(
                f"Weights of float16 must be at most 65,504. Received: larger ones in "
                f"{variable.path}"
            )
        variable.assign(rounded.astype(variable.dtype))


def halve_file(path: Path) -> None:
    """Store the float32 arrays of a .weights.h5 file as float16; Keras loads it as before."""
    whole = path.with_suffix(".whole")
    path.rename(whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Group):
                target.require_group(name).attrs.update(item.attrs)
                return
            values = item[()]
            is_single = item.dtype == "float32"
            copied = target.create_dataset(name, data=values.astype("f2") if is_single else values)
            copied.attrs.update(item.attrs)

        source.visititems(copy)
    whole.unlink()
