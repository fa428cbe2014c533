"""A line while the first step compiles."""

import sys
import time

import keras


class CompilingLine(keras.callbacks.Callback):
    """Say that the first step of a new function compiles, and how long it took, unless verbose=0.

    Nothing else is printed before that step ends, which can take a minute.
    """

    def on_train_begin(self, logs=None):
        function = getattr(self.model, "train_function", None)
        is_new = function is not getattr(self.model, "_compiled_step", None)
        is_shown = self.params.get("verbose") != 0 and keras.config.is_interactive_logging_enabled()
        self._waits = is_new and is_shown and not self.model.run_eagerly
        self.model._compiled_step = function

    def on_train_batch_begin(self, batch, logs=None):
        if self._waits:
            self._start = time.perf_counter()
            sys.stdout.write("Compiling the first step ... ")
            sys.stdout.flush()

    def on_train_batch_end(self, batch, logs=None):
        if self._waits:
            sys.stdout.write(f"{time.perf_counter() - self._start:.1f} s\n")
            self._waits = False
