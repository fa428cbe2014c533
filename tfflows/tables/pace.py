"""The learning rate of `tables.fit`, and when it ends."""

import time

import keras


class Pace(keras.callbacks.Callback):
    """A rate that falls where held-out rows get no likelier, and towards the end of the budget.

    The rate is constant in the first half of the budget and falls to zero in the second. It is
    multiplied by 0.3 after `patience` epochs without a better `val_loss`; after three times as many
    training ends.

    Args:
        learning_rate: the first.
        max_steps: steps of training.
        max_minutes: minutes of training, or None.
        patience: epochs.
    """

    def __init__(
        self, learning_rate: float, max_steps: int, max_minutes: float | None, patience: int
    ):
        super().__init__()
        self.learning_rate, self.patience = learning_rate, patience
        self.max_steps, self.max_minutes = max_steps, max_minutes

    def on_train_begin(self, logs=None):
        self._start, self._steps = time.monotonic(), 0
        self._best, self._waited, self._factor = float("inf"), 0, 1.0

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        spent = self._steps / self.max_steps
        if self.max_minutes is not None:
            spent = max(spent, (time.monotonic() - self._start) / (60 * self.max_minutes))
        if spent >= 1:
            self.model.stop_training = True
        rate = self._factor * min(1.0, 2 * (1 - min(spent, 0.999)))
        self.model.optimizer.learning_rate = self.learning_rate * rate

    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {})["val_loss"]
        if loss < self._best:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited % self.patience == 0:
            self._factor *= 0.3
        if self._waited >= 3 * self.patience:
            self.model.stop_training = True
