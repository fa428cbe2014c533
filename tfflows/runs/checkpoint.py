"""What a run writes after each epoch, and how it goes on from there."""

import contextlib
import json
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfflows.backend.processes import from_first_process
from tfflows.flow import Flow
from tfflows.runs.curve import CURVE
from tfflows.runs.strategy import Strategy
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.keras_archive import RUN_STATE, read_archive


class Checkpoint(keras.callbacks.Callback):
    """Writes metrics.jsonl, best.keras and last.keras after each epoch, and stops early.

    last.keras is one file, replaced at once, with the state of the run inside, so that a kill at
    any moment leaves a consistent one.

    Args:
        folder: folder of the run.
        steps_per_epoch: number of training steps in an epoch.
        patience: epochs without a better validation nll after which training stops, or None.
        averages: the callback that gives validation the averaged weights, or None.
        full_precision: a flow in float32 of the same layers, where the run trains in mixed
            precision: best.keras holds that one.
        strategy: where the run is trained; one device by default. Of several processes each has a
            checkpoint, because reading a weight may take all of them, and `restore` sets all of
            them to that of the chief.
    """

    def __init__(
        self,
        folder: Path,
        steps_per_epoch: int,
        patience: int | None = None,
        averages: keras.callbacks.SwapEMAWeights | None = None,
        full_precision: Flow | None = None,
        strategy: Strategy | None = None,
    ):
        super().__init__()
        self.folder = folder
        self.path = folder / "last.keras"
        self.steps_per_epoch = steps_per_epoch
        self.patience = patience
        self.averages = averages
        self.full_precision = full_precision
        self.strategy = strategy or Strategy()
        self.epoch = 0
        self.best = {"epoch": 0, "val_nll": float("inf")}
        self.seconds = 0.0

    @property
    def step(self) -> int:
        """Number of training steps up to this checkpoint."""
        return self.epoch * self.steps_per_epoch

    @property
    def is_patience_over(self) -> bool:
        """Whether the validation nll did not improve for `patience` epochs."""
        return self.patience is not None and self.epoch - self.best["epoch"] >= self.patience

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch + 1
        self.seconds += time.monotonic() - self._start
        logs = {name: float(value) for name, value in (logs or {}).items()}
        row = {"epoch": self.epoch, "step": self.step, **logs}
        with (self.folder / CURVE).open("a") as file:
            file.write(json.dumps({**row, "seconds": round(self.seconds, 2)}) + "\n")
        if logs["val_nll"] < self.best["val_nll"]:
            self.best = {"epoch": self.epoch, "val_nll": logs["val_nll"]}
            with self._averaged():
                self._model_to_keep().save(self.folder / "best.keras")
        self.write(self.model)
        if self.is_patience_over:
            self.model.stop_training = True

    def _model_to_keep(self):
        """The model, in float32 where it trains in mixed precision: rounded networks are not an
        exact inverse of themselves, by up to 25 of 256 grey levels on MNIST."""
        if self.full_precision is None:
            return self.model
        self.full_precision.set_weights(self.model.get_weights())
        return self.full_precision

    @contextlib.contextmanager
    def _averaged(self):
        """The model has the averaged weights, as during validation."""
        if self.averages is not None:
            self.averages.on_test_begin()
        yield
        if self.averages is not None:
            self.averages.on_test_end()

    def write(self, flow: Flow) -> None:
        """Write last.keras."""
        state = {"epoch": self.epoch, "best": self.best, "seconds": self.seconds}
        # Keras saves weights and optimizers, but not the states of random generators.
        state["random"] = [ops.convert_to_numpy(s).tolist() for s in _random_states(flow)]
        with replaced_on_success(self.path) as temporary:
            flow.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(RUN_STATE, json.dumps(state))

    @property
    def saved_epoch(self) -> int:
        """The epoch of last.keras; of the chief's in every process."""
        return self.strategy.by_chief(self._read_state)["epoch"]

    def _read_state(self):
        with zipfile.ZipFile(self.path) as archive:
            return json.loads(archive.read(RUN_STATE))

    def restore(self, flow: Flow) -> None:
        """Set a compiled flow and this object to the state in last.keras."""
        state = self.strategy.by_chief(self._read_state)
        targets = [*flow.weights, *flow.optimizer.variables, *_random_states(flow)]
        if self.strategy.is_chief:
            saved = read_archive(self.path, Flow, compile=True)
            sources = [*saved.weights, *saved.optimizer.variables, *state["random"]]
        else:
            sources = [np.zeros(target.shape, target.dtype) for target in targets]
        pairs = list(zip(targets, sources, strict=True))
        values = [np.asarray(ops.convert_to_numpy(s), target.dtype) for target, s in pairs]
        for target, value in zip(targets, from_first_process(values), strict=True):
            target.assign(value)
        self.epoch, self.best, self.seconds = state["epoch"], state["best"], state["seconds"]
        self._forget_later_epochs()

    def _forget_later_epochs(self):
        path = self.folder / CURVE
        if not path.exists():
            return
        rows = path.read_text().splitlines(keepends=True)[: self.epoch]
        with replaced_on_success(path) as temporary:
            temporary.write_text("".join(rows))


def _random_states(flow):
    """States of the flow's random generators, in the order of its layers."""
    weights = {id(v) for v in (*flow.weights, *flow.metrics_variables)}
    return [v for v in flow.variables if id(v) not in weights]
