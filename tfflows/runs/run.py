"""Runs: training by a recipe in a folder, with checkpoints that a killed run goes on from.

| in the folder | what |
|---|---|
| recipe.yaml | the recipe, as checked |
| run.json | versions, machine, what the data are |
| last.keras | model, optimizer and state of the run at the last checkpoint |
| best.keras | the model with the lowest validation nll, in float32 |
| metrics.jsonl | a line an epoch |
| tensorboard/ | the same for TensorBoard |
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfflows import datasets
from tfflows.datasets.batches import Batches, spread_rows
from tfflows.flow import Flow
from tfflows.runs.build import make_flow, make_optimizer
from tfflows.runs.diagnose import explain
from tfflows.runs.recipe import Recipe, read_recipe
from tfflows.utils.atomic import replaced_on_success

_STATE = "run_state.json"


def run_recipe(
    recipe: Recipe, folder: str | Path, resume: bool = False, verbose: int | str = "auto"
) -> Path:
    """Train a recipe's model in `folder`, and return the path of the best one.

    A run that was stopped at any moment goes on from its last checkpoint with `resume`, and ends
    like one that was not: batches, noise, weights, optimizer and schedule are taken up where they
    were.

    Args:
        recipe: from `read_recipe`.
        folder: a new one, or with `resume` that of a run of the same recipe.
        resume: whether to go on with the run in `folder`.
        verbose: as in `keras.Model.fit`.

    Raises:
        ValueError: the data do not fit the recipe, or the run in the folder has another recipe or
            other data.
        FileExistsError: there is a run already, and `resume` was not asked for.
        FloatingPointError: the loss became NaN or infinite (step, layer and rows are named), or
            the validation nll was so after every epoch.
    """
    folder = Path(folder)
    begun = (folder / "last.keras").exists()
    _check_folder(recipe, folder, begun, resume)
    keras.utils.set_random_seed(recipe.seed)
    train, info = _load(recipe, "train")
    validation = spread_rows(_load(recipe, "validation")[0], recipe.training.validation_rows)
    steps = recipe.training.steps_per_epoch or _batches(recipe, train).batches_per_pass
    facts = {"data": _describe(train, info), "versions": _versions()}
    if begun:
        _check_data(folder, facts["data"])
    total_steps = steps * recipe.training.epochs
    with _scope(recipe):
        flow = _compiled_flow(recipe, info, total_steps)
    checkpoint = _Checkpoint(folder, steps, recipe.training.early_stopping)
    if recipe.backend.mixed_precision:
        checkpoint.full_precision = _compiled_flow(_in_float32(recipe), info, total_steps)
    if begun:
        checkpoint.restore(flow)
    else:
        if flow.needs_adapt:
            # An image has many elements a channel, so that fewer rows give its statistics.
            flow.adapt(spread_rows(train, min(10_000, max(256, 2**20 // flow.dims))))
        folder.mkdir(parents=True, exist_ok=True)
        recipe.write(folder / "recipe.yaml")
        _write_json(folder / "run.json", facts)
        checkpoint.write(flow)
    if checkpoint.epoch < recipe.training.epochs and not checkpoint.is_patience_over:
        _fit(recipe, flow, train, validation, steps, checkpoint, verbose)
    if not checkpoint.best["epoch"]:
        raise FloatingPointError(
            f"No epoch had a finite validation nll, so that there is no best model: validation "
            f"data far from the training data, or scales without a bound. {checkpoint.path} holds "
            f"the model after epoch {checkpoint.epoch}"
        )
    return folder / "best.keras"


def _compiled_flow(recipe, info, total_steps):
    flow = make_flow(recipe, info)
    optimizer = make_optimizer(recipe, total_steps)
    _decay_kernels_only(optimizer, flow)
    flow.compile(
        optimizer,
        objective=recipe.training.objective,
        time_exponent=recipe.training.time_exponent,
        jit_compile=recipe.backend.jit,
        steps_per_execution=recipe.backend.steps_per_execution,
    )
    optimizer.build(flow.trainable_variables)
    return flow


def _in_float32(recipe):
    backend = recipe.backend.model_copy(update={"mixed_precision": False})
    return recipe.model_copy(update={"backend": backend})


def _fit(recipe, flow, train, validation, steps, checkpoint, verbose):
    callbacks = [checkpoint]
    if importlib.util.find_spec("tensorflow"):  # which writes the logs on every backend
        callbacks.append(keras.callbacks.TensorBoard(checkpoint.folder / "tensorboard"))
    if recipe.optimizer.ema is not None:
        checkpoint.averages = keras.callbacks.SwapEMAWeights()
        callbacks.append(checkpoint.averages)
    first_step = checkpoint.epoch * steps
    try:
        flow.fit(
            _batches(recipe, train, first_step),
            initial_epoch=checkpoint.epoch,
            epochs=recipe.training.epochs,
            steps_per_epoch=steps,
            validation_data=Batches(validation, recipe.training.batch_size),
            callbacks=callbacks,
            verbose=verbose,
        )
    except FloatingPointError as error:
        first_step = checkpoint.epoch * steps
        checkpoint.restore(flow)
        batches = _batches(recipe, train, first_step)
        explanation = explain(flow, (batches[i] for i in range(steps)), first_step)
        raise FloatingPointError(
            f"{explanation or error}. {checkpoint.path} holds the model after epoch "
            f"{checkpoint.epoch}"
        ) from error


def _batches(recipe, data, first_step=0):
    return Batches(data, recipe.training.batch_size, recipe.seed, first_step)


class _Checkpoint(keras.callbacks.Callback):
    """Writes metrics.jsonl, best.keras and last.keras after each epoch, and stops early.

    last.keras is one file, replaced at once, with the state of the run inside, so that a kill at
    any moment leaves a consistent one.
    """

    def __init__(self, folder: Path, steps: int, patience: int | None):
        super().__init__()
        self.folder = folder
        self.path = folder / "last.keras"
        self.steps = steps
        self.patience = patience
        self.averages = None
        self.full_precision = None
        self.epoch = 0
        self.best = {"epoch": 0, "val_nll": float("inf")}
        self.seconds = 0.0

    @property
    def is_patience_over(self) -> bool:
        return self.patience is not None and self.epoch - self.best["epoch"] >= self.patience

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch + 1
        self.seconds += time.monotonic() - self._start
        logs = {name: float(value) for name, value in (logs or {}).items()}
        row = {"epoch": self.epoch, "step": self.epoch * self.steps, **logs}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({**row, "seconds": round(self.seconds, 2)}) + "\n")
        if logs["val_nll"] < self.best["val_nll"]:
            self.best = {"epoch": self.epoch, "val_nll": logs["val_nll"]}
            with self._averaged():
                self._model_to_keep().save(self.folder / "best.keras")
        self.write(self.model)
        if self.is_patience_over:
            self.model.stop_training = True

    def _model_to_keep(self):
        """The model, in float32 where it trains in mixed precision: rounded networks are no exact
        inverse of themselves, by up to 25 of 256 grey levels on MNIST."""
        if self.full_precision is None:
            return self.model
        self.full_precision.set_weights(self.model.get_weights())
        return self.full_precision

    @contextlib.contextmanager
    def _averaged(self):
        """The averaged weights in the model's place, as validation has them."""
        if self.averages is not None:
            self.averages.on_test_begin()
        yield
        if self.averages is not None:
            self.averages.on_test_end()

    def write(self, flow: Flow) -> None:
        """Write last.keras."""
        state = {"epoch": self.epoch, "best": self.best, "seconds": self.seconds}
        # Keras saves weights and optimizers, but no states of random generators.
        state["random"] = [ops.convert_to_numpy(s).tolist() for s in _random_states(flow)]
        with replaced_on_success(self.path) as temporary:
            flow.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(_STATE, json.dumps(state))

    def restore(self, flow: Flow) -> None:
        """Set a compiled flow and this object to what last.keras says."""
        with zipfile.ZipFile(self.path) as archive:
            state = json.loads(archive.read(_STATE))
        saved = keras.saving.load_model(self.path)
        pairs = [(flow.weights, saved.weights)]
        pairs.append((flow.optimizer.variables, saved.optimizer.variables))
        for targets, sources in pairs:
            for target, source in zip(targets, sources, strict=True):
                target.assign(source)
        for target, source in zip(_random_states(flow), state["random"], strict=True):
            target.assign(source)
        self.epoch, self.best, self.seconds = state["epoch"], state["best"], state["seconds"]
        self._forget_later_epochs()

    def _forget_later_epochs(self):
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        rows = path.read_text().splitlines(keepends=True)[: self.epoch]
        with replaced_on_success(path) as temporary:
            temporary.write_text("".join(rows))


def _random_states(flow):
    """States of the flow's random generators, in the order of its layers."""
    weights = {id(v) for v in (*flow.weights, *flow.metrics_variables)}
    return [v for v in flow.variables if id(v) not in weights]


def _scope(recipe):
    if recipe.backend.strategy is None:
        return contextlib.nullcontext()
    if keras.backend.backend() != "tensorflow":
        raise ValueError("backend.strategy: mirrored is for the TensorFlow backend")
    import tensorflow as tf

    return tf.distribute.MirroredStrategy().scope()


def _decay_kernels_only(optimizer, flow):
    """Weight decay pulls no bias, gain, scale or shift to zero."""
    variables = flow.trainable_variables
    others = [v for v in variables if not v.name.startswith("kernel") and v.name != "v"]
    optimizer.exclude_from_weight_decay(var_list=others)


def _load(recipe, split):
    data = recipe.data
    return datasets.load_rows(data.name, split, data.conditional, data.dir, **data.options)


def _describe(data, info):
    """What identifies the data: their shape, and a hash of some rows."""
    x = data[0] if isinstance(data, tuple) else data
    digest = hashlib.sha256(np.ascontiguousarray(spread_rows(x, 1000)).tobytes()).hexdigest()
    return {"name": info.name, "shape": list(x.shape), "dtype": str(x.dtype), "sha256": digest}


def _versions():
    backend = keras.backend.backend()
    packages = ("tfflows", "keras", backend, "numpy")
    found = {package: version(package) for package in packages}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {**found, "python": platform.python_version(), "machine": machine}


def _write_json(path, content):
    with replaced_on_success(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def _check_folder(recipe, folder, begun, resume):
    if begun and not resume:
        raise FileExistsError(
            f"{folder} holds a run already: give --resume to go on with it, or another folder"
        )
    if resume and not begun:
        raise ValueError(f"There is no run to resume in {folder}: it has no last.keras")
    if not begun:
        return
    saved = read_recipe(folder / "recipe.yaml").model_dump(exclude={"data": {"dir"}})
    wanted = recipe.model_dump(exclude={"data": {"dir"}})
    changed = _differences(saved, wanted)
    if changed:
        raise ValueError(f"{folder} holds a run of another recipe. Different: {changed}")


def _differences(saved, wanted, prefix=""):
    """ "a.b: old, now new" for each value that changed."""
    if isinstance(saved, dict) and isinstance(wanted, dict):
        keys = dict.fromkeys([*saved, *wanted])
        parts = [_differences(saved.get(k), wanted.get(k), f"{prefix}{k}.") for k in keys]
        return "; ".join(filter(None, parts))
    return "" if saved == wanted else f"{prefix[:-1]}: {saved!r}, now {wanted!r}"


def _check_data(folder, described):
    saved = json.loads((folder / "run.json").read_text())["data"]
    changed = _differences(saved, described)
    if changed:
        raise ValueError(f"The data of the run in {folder} have changed. Different: {changed}")
