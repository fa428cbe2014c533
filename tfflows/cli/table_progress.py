"""What the commands of tables show while they work, on standard error."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import click
import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_SECONDS_PER_LINE = 5


def _bars(*columns):
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())


class EpochProgress(keras.callbacks.Callback):
    """A bar of the steps of each epoch, with the nll so far; lines of text without a terminal.

    Example:
        with EpochProgress() as progress:
            flow.fit(frame, callbacks=[progress], verbose=0)
    """

    def __init__(self):
        super().__init__()
        self._bars = _bars(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(24),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
        )
        self._best, self._best_epoch = float("inf"), 0
        self._said = -float("inf")

    def __enter__(self) -> "EpochProgress":
        self._bars.start()
        self._task = self._bars.add_task("", total=None, epoch=1, text="compiling")
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def on_epoch_begin(self, epoch, logs=None):
        steps = (self.params or {}).get("steps")
        self._bars.update(self._task, completed=0, total=steps, epoch=epoch + 1)

    def on_train_batch_end(self, batch, logs=None):
        self._bars.update(self._task, completed=batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        text = best = f"nll {float(logs['loss']):.4f}"
        if "val_loss" in logs:
            held_out = float(logs["val_loss"])
            if held_out < self._best:
                self._best, self._best_epoch = held_out, epoch + 1
            text += f", held-out {held_out:.4f}"
            best = f"{text}, best {self._best:.4f} (epoch {self._best_epoch})"
        self._bars.update(self._task, text=best)
        if self._bars.disable and time.monotonic() > self._said + _SECONDS_PER_LINE:
            self._said = time.monotonic()
            click.echo(f"epoch {epoch + 1}: {text}", err=True)


@contextlib.contextmanager
def row_progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function that moves a bar on by so many rows."""
    columns = TextColumn(label), BarColumn(24), TextColumn("{task.completed:,.0f} rows")
    with _bars(*columns, TimeElapsedColumn()) as bars:
        task = bars.add_task(label, total=total)

        def advance(rows: int) -> None:
            bars.advance(task, rows)

        yield advance
