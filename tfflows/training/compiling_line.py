"""A line while the first step compiles."""

import contextlib
import sys
import time
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def compiling_line(is_shown: bool) -> Iterator[None]:
    """Say that a step compiles, and in the end how long it took."""
    start = time.perf_counter()
    if is_shown:
        sys.stdout.write("Compiling the first step ... ")
        sys.stdout.flush()
    try:
        yield
    finally:
        if is_shown:
            sys.stdout.write(f"{time.perf_counter() - start:.1f} s\n")


def shows_lines(verbose: str | int) -> bool:
    """Whether `fit` with this `verbose` prints what it does."""
    return verbose != 0 and keras.config.is_interactive_logging_enabled()


class CompilingLine(keras.callbacks.Callback):
    """`compiling_line` around the first step of a new function, unless verbose=0.

    Nothing else is printed before that step ends, which can take a minute.
    """

    def on_train_begin(self, logs=None):
        function = getattr(self.model, "train_function", None)
        is_new = function is not getattr(self.model, "compiled_step", None)
        self._waits = is_new and not self.model.run_eagerly
        self.model.compiled_step = function
        self._line = contextlib.ExitStack()

    def on_train_batch_begin(self, batch, logs=None):
        if self._waits:
            self._line.enter_context(compiling_line(shows_lines(self.params.get("verbose", 1))))
            self._waits = False

    def on_train_batch_end(self, batch, logs=None):
        self._line.close()
