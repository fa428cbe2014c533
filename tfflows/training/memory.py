"""Say what to lower where a device has no memory for a batch."""

import contextlib
from collections.abc import Iterator

import keras

TRAINING_CURES = (
    "lower batch_size; compute networks again for the gradient by `checkpoint=True`, where the "
    'model has it; make the flow with dtype="mixed_bfloat16"; leave the data on the host by '
    "fit(..., device_data=False)"
)
CALL_CURES = "lower batch_size, or give one"


@contextlib.contextmanager
def explained_out_of_memory(
    model: keras.Model, doing: str, rows: int | None, cures: str
) -> Iterator[None]:
    """Raise a MemoryError from the backend's error where the device's memory is exhausted.

    Args:
        model: whose weights may be lost.
        doing: the call, such as "fit".
        rows: rows of a batch, or None where they are not known.
        cures: what takes less memory.

    Raises:
        MemoryError: the device's memory is exhausted.
    """
    try:
        yield
    except Exception as error:
        cause = _exhaustion(error)
        if cause is None:
            raise
        batches = "a batch" if rows is None else f"batches of {rows:,} rows"
        lost = (
            " The weights were freed by the step that failed: make the flow again, or load its "
            "last checkpoint."
            if any(_is_freed(variable) for variable in model.weights)
            else ""
        )
        raise MemoryError(
            f"The device has no memory for {batches} in {doing}: {cures}.{lost} "
            f"Received: {str(cause).splitlines()[0][:300]}"
        ) from cause


def _exhaustion(error):
    """The error of the backend among this one and what it came from, or None."""
    while error is not None:
        is_tensorflow = type(error).__name__ == "ResourceExhaustedError"
        if is_tensorflow or "RESOURCE_EXHAUSTED" in str(error):
            return error
        error = error.__cause__ or error.__context__
    return None


def _is_freed(variable):
    return getattr(variable.value, "is_deleted", lambda: False)()
