"""What `fit` adds to the callbacks that it is given."""

from collections.abc import Sequence

import keras

from tfflows.training.stop_on_nan import StopOnNaN

MINIMIZED = ("nll", "bits_per_dim", "evaluations")  # logs of a flow


def with_own_callbacks(
    callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None,
) -> keras.callbacks.CallbackList | list[keras.callbacks.Callback]:
    """The callbacks behind one that stops at NaN; a CallbackList is returned as it is.

    Keras knows the direction of its own metrics only: a callback that monitors a log of a flow in
    mode "auto" gets the mode "min".
    """
    is_list = isinstance(callbacks, keras.callbacks.CallbackList)
    if is_list or not isinstance(callbacks, list | tuple):
        each = callbacks.callbacks if is_list else [callbacks] if callbacks else []
    else:
        each = callbacks
    for callback in each:
        monitored = str(getattr(callback, "monitor", "")).removeprefix("val_")
        if monitored in MINIMIZED and getattr(callback, "mode", None) == "auto":
            callback.mode = "min"
    return callbacks if is_list else [StopOnNaN(), *each]
