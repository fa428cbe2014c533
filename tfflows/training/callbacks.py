"""What `fit` adds to the callbacks that it is given."""

from typing import Any

import keras

from tfflows.training.compiling_line import CompilingLine
from tfflows.training.stop_on_nan import StopOnNaN

MINIMIZED = ("nll", "bits_per_dim", "evaluations")  # logs of a flow


def with_own_callbacks(callbacks: Any) -> Any:
    """The callbacks behind `StopOnNaN` and `CompilingLine`; a CallbackList is returned as it is.

    Keras knows the direction of its own metrics only: a callback that monitors a log of a flow in
    mode "auto" gets the mode "min".

    Args:
        callbacks: one, a list, a CallbackList, or None.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        each = callbacks.callbacks
    elif isinstance(callbacks, keras.callbacks.Callback):
        each = [callbacks]
    else:
        each = list(callbacks or [])
    for callback in each:
        monitored = str(getattr(callback, "monitor", "")).removeprefix("val_")
        if monitored in MINIMIZED and getattr(callback, "mode", None) == "auto":
            callback.mode = "min"
    return (
        callbacks
        if isinstance(callbacks, keras.callbacks.CallbackList)
        else [StopOnNaN(), CompilingLine(), *each]
    )
