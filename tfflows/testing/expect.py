"""Failures that name the promise, what was expected, what came, and by how much it was off."""

import dataclasses
from collections.abc import Callable

import numpy as np
from keras import ops


class BrokenPromise(AssertionError):
    """What an expectation raises; a `Check` adds whose promise it is."""

    def __init__(self, promise: str, text: str):
        super().__init__(text)
        self.promise = promise


@dataclasses.dataclass(frozen=True)
class Check:
    """One promise of one layer or flow, to be called.

    Args:
        subject: name of the layer or flow.
        promise: name of the promise.
        run: raises where the promise is broken.
        conditional: whether the layer gets a condition.
        detail: what else tells checks of one promise apart, such as a dtype.
    """

    subject: str
    promise: str
    run: Callable[[], None]
    conditional: bool = False
    detail: str = ""

    def __str__(self) -> str:
        mode = "conditional" if self.conditional else ""
        return "-".join(part for part in (self.promise, self.subject, self.detail, mode) if part)

    def __call__(self) -> None:
        """Run the check. Raises AssertionError where the promise is broken."""
        try:
            self.run()
        except BrokenPromise as error:
            raise AssertionError(f"{self._says(error.promise)}{error}") from None
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise AssertionError(
                f"{self._says(self.promise)}Expected no error. Received: {text}"
            ) from error

    def _says(self, promise):
        mode = " (with a condition)" if self.conditional else ""
        return f"{self.subject} breaks the promise `{promise}`{mode}: "


def to_numpy(tensor) -> np.ndarray:
    """The tensor as an array."""
    return ops.convert_to_numpy(tensor)


def expect(is_kept: bool, promise: str, what: str, received) -> None:
    """Raise BrokenPromise saying "Expected `what`. Received: `received`" unless `is_kept`."""
    if not is_kept:
        raise BrokenPromise(promise, f"Expected {what}. Received: {received}")


def expect_shape(promise: str, name: str, tensor, shape: tuple) -> None:
    """Raise BrokenPromise unless the tensor called `name` has the shape."""
    came = tuple(tensor.shape)
    expect(came == tuple(shape), promise, f"{name} to have shape {tuple(shape)}", came)


def expect_dtype(promise: str, name: str, tensor, dtype: str) -> None:
    """Raise BrokenPromise unless the tensor called `name` has the dtype."""
    came = to_numpy(tensor).dtype.name
    expect(came == dtype, promise, f"{name} to have dtype {dtype}", came)


def expect_finite(promise: str, name: str, tensor) -> None:
    """Raise BrokenPromise where the tensor called `name` has a NaN or an infinity."""
    values = to_numpy(tensor)
    bad = values[~np.isfinite(values)]
    if bad.size:
        raise BrokenPromise(
            promise,
            f"Expected {name} to be finite. Received: {bad[0]} ({bad.size} of {values.size} "
            "values are not finite)",
        )


def expect_close(promise: str, name: str, received, expected, atol: float, rtol=0.0) -> None:
    """Raise BrokenPromise unless |received - expected| <= atol + rtol |expected| everywhere.

    Args:
        promise: name of the promise.
        name: what is compared and with what, such as "inverse(forward(x)) to be x".
        received, expected: arrays or tensors of one shape.
        atol, rtol: absolute and relative tolerance. NaN is close to nothing.
    """
    received, expected = to_numpy(received), to_numpy(expected)
    expect_shape(promise, f"{name}: both", received, expected.shape)
    if not received.size:
        return
    off = np.abs(received.astype("float64") - expected)
    excess = np.where(np.isfinite(off), off - rtol * np.abs(expected), np.inf)
    if (excess <= atol).all():
        return
    worst = np.unravel_index(np.argmax(excess), off.shape)
    place = tuple(int(i) for i in worst)
    allowed = f"{atol:g}" + (f" + {rtol:g} of the value" if rtol else "")
    raise BrokenPromise(
        promise,
        f"Expected {name}: {expected[worst]:.8g} at {place}. Received: {received[worst]:.8g}, "
        f"off by {off[worst]:.3g} where {allowed} is allowed",
    )
