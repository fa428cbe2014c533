"""Training ends at a loss that is NaN or infinite."""

import keras
import numpy as np


class StopOnNaN(keras.callbacks.Callback):
    """Stand before every other callback, so that no checkpoint is made of NaN weights.

    Raises:
        FloatingPointError: the loss is NaN or infinite.
    """

    # Reading the loss waits for the step, which an accelerator should not do after each one.
    every = 20

    def on_train_batch_end(self, batch, logs=None):
        # After several of them where steps_per_execution says so; the last call makes fewer.
        step = min(batch + 1, self.params.get("steps") or batch + 1)
        if step >= self._next:
            self._check(logs, f"seen at step {step}")
            self._next = step + self.every

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._next = epoch + 1, self.every

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, "at its end")

    def _check(self, logs, when):
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"Training stopped: the loss is {loss} in epoch {self._epoch}, {when}. Either it "
                "diverged, and a smaller learning rate, clipnorm= or standardized data help, or a "
                "batch holds NaN, inf or values out of range. The weights may be NaN now: make the "
                "flow again, or load its last checkpoint"
            )
