"""Runs: training by a recipe in a folder, with checkpoints that a killed run goes on from.

| in the folder | what |
|---|---|
| recipe.yaml | the recipe, as checked |
| run.json | versions, machine, what the data are |
| last.keras | model, optimizer and state of the run at the last checkpoint |
| best.keras | the model with the lowest validation nll, in float32 |
| metrics.jsonl | one line per epoch |
| tensorboard/ | the same for TensorBoard |
"""

import contextlib
import importlib.util
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import keras

from tfflows.datasets.batches import Batches
from tfflows.flow import Flow
from tfflows.runs.build import decay_kernels_only, make_flow, make_objective, make_optimizer
from tfflows.runs.checkpoint import Checkpoint
from tfflows.runs.data import RunData
from tfflows.runs.diagnose import explain
from tfflows.runs.folder import RunFolder, differences
from tfflows.runs.lock import locked
from tfflows.runs.recipe import Recipe
from tfflows.runs.schedule import warn_of_length
from tfflows.runs.strategy import Strategy, make_strategy
from tfflows.runs.weights import copy_weights
from tfflows.utils.remote import refuse_remote

_ADAPT_ELEMENTS = 2**20


def run_recipe(
    recipe: Recipe,
    path: str | Path,
    resume: bool = False,
    verbose: int | str = "auto",
    *,
    weights: Flow | None = None,
) -> Path:
    """Train a recipe's model in a folder, which is locked meanwhile.

    With `resume`, a run that was stopped at any moment goes on from its last checkpoint, and ends
    like one that was not stopped: batches, noise, weights, optimizer and schedule go on where they
    were. It begins where there is no checkpoint yet. A recipe of more epochs lengthens the run; a
    cosine schedule then ends at the new end.

    With a `backend.strategy` of several processes (`tfflows.runs.join_processes`) each calls this.
    The chief keeps the folder, from which the others get the state of the run, so that they need
    the data and the same recipe only. A run that was stopped because a process died goes on when
    all are started again, also with another number of processes or another strategy.

    Args:
        recipe: from `read_recipe`.
        path: a new folder, or with `resume` that of a run of the same recipe.
        resume: whether to go on with the run in the folder.
        verbose: as in `keras.Model.fit`.
        weights: the flow that `model.weights` of the recipe names, whose weights a new run begins
            with instead of random ones and statistics of the data.

    Returns:
        The path of best.keras, which the chief has written.

    Example:
        best = run_recipe(read_recipe("recipe.yaml"), "runs/mine")

    Raises:
        ValueError: the data or `weights` do not fit the recipe, or the run in the folder has
            another recipe or other data.
        FileExistsError: there is a run already, and `resume` was not asked for; or another process
            trains in the folder.
        TimeoutError, RuntimeError: another process did not come, or has ended.
        FloatingPointError: the loss became NaN or infinite (step, layer and rows are named), or
            the validation nll was so after every epoch.
    """
    refuse_remote("The folder of a run", path)
    strategy = make_strategy(recipe.backend.strategy)
    with contextlib.ExitStack() as stack, strategy.naming_lost_processes():
        if strategy.is_chief:
            folder = RunFolder(Path(path))
        else:  # what it writes meanwhile is of no use
            folder = RunFolder(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            verbose = 0

        def begin():
            stack.enter_context(locked(folder.path))
            folder.check(recipe, resume)
            folder.remove_leftovers()
            return folder.is_begun

        is_begun = strategy.by_chief(begin)
        _run(recipe, folder, weights, verbose, strategy, is_begun)
    return RunFolder(Path(path)).best


def _run(recipe, folder, weights, verbose, strategy, is_begun):
    keras.utils.set_random_seed(recipe.seed)
    data = RunData.load(recipe)
    facts = {"data": data.describe(), "versions": versions()}
    if is_begun:
        strategy.by_chief(lambda: folder.check_data(facts["data"]))
    _check_chief_has_the_same(recipe, facts["data"], strategy)
    per_pass = _batches(recipe, data, strategy).batches_per_pass  # refuses what cannot be shared
    steps = recipe.training.steps_per_epoch or per_pass
    warn_of_length(recipe, len(data.train), steps * recipe.training.epochs)
    with strategy.scope():
        flow = _compiled_flow(recipe, data.info, steps * recipe.training.epochs)
    checkpoint = _make_checkpoint(recipe, data.info, folder.path, steps, strategy)
    if is_begun:
        _check_epochs(recipe, checkpoint)
        checkpoint.restore(flow)
        folder.write(recipe)
    else:
        with strategy.scope():
            _begin(recipe, flow, data, weights)
        folder.write(recipe, facts)
        checkpoint.write(flow)
    if checkpoint.epoch < recipe.training.epochs and not checkpoint.is_patience_over:
        _fit(recipe, flow, data, checkpoint, verbose)
    elif verbose:
        early = " by early stopping" if checkpoint.is_patience_over else ""
        line = (
            f"Nothing is left to train: {folder.path} ended after epoch {checkpoint.epoch}{early}"
        )
        sys.stdout.write(f"{line}\n")
    if not checkpoint.best["epoch"]:
        raise FloatingPointError(
            f"No epoch had a finite validation nll, so that there is no best model: validation "
            f"data far from the training data, or scales without a bound. {checkpoint.path} holds "
            f"the model after epoch {checkpoint.epoch}"
        )


def _check_chief_has_the_same(recipe, described, strategy):
    """Refuse processes that would train on other data, or by another recipe."""
    content = recipe.model_dump(mode="json", exclude={"data": {"dir"}})
    chief = strategy.by_chief(lambda: {"recipe": content, "data": described})
    changed = differences(chief, {"recipe": content, "data": described})
    if changed:
        raise ValueError(
            "All processes must have the same recipe and data. Different in the first and in "
            f"process {strategy.shard.index}: {changed}"
        )


def _check_epochs(recipe, checkpoint):
    done = checkpoint.saved_epoch
    if recipe.training.epochs < done:
        raise ValueError(
            f"{recipe.name}: training.epochs must be at least {done}, which {checkpoint.folder} "
            f"has finished. Received: {recipe.training.epochs}"
        )


def _begin(recipe, flow, data, weights):
    """The state before the first step: weights of another flow, or statistics of the data."""
    if recipe.model.weights is not None and weights is None:
        raise ValueError(
            f"{recipe.name}: the flow of model.weights must be given: run_recipe(..., "
            f"weights=tfflows.load_model({recipe.model.weights!r}))"
        )
    if weights is not None:
        try:
            copy_weights(weights, flow)
        except ValueError as error:
            raise ValueError(
                f"{recipe.name}: model.weights: {recipe.model.weights}: {error}"
            ) from error
    elif flow.needs_adapt:
        _adapt(flow, data.train)


def _adapt(flow, train):
    # An image has many elements per channel, so that fewer rows give its statistics.
    rows = train.spread(min(10_000, max(256, _ADAPT_ELEMENTS // flow.dims)))
    flow.adapt(rows.x if rows.condition is None else (rows.x, rows.condition))


def _make_checkpoint(recipe, info, folder, steps, strategy: Strategy):
    full_precision = averages = None
    if recipe.backend.mixed_precision:
        backend = recipe.backend.model_copy(update={"mixed_precision": False})
        in_float32 = recipe.model_copy(update={"backend": backend})
        full_precision = _compiled_flow(in_float32, info, steps * recipe.training.epochs)
    if recipe.optimizer.ema is not None:
        averages = keras.callbacks.SwapEMAWeights()
    patience = recipe.training.early_stopping
    return Checkpoint(folder, steps, patience, averages, full_precision, strategy)


def _compiled_flow(recipe, info, total_steps):
    flow = make_flow(recipe, info)
    optimizer = make_optimizer(recipe.optimizer, total_steps)
    decay_kernels_only(optimizer, flow)
    flow.compile(
        optimizer,
        objective=make_objective(recipe, total_steps),
        jit_compile=recipe.backend.jit,
        steps_per_execution=recipe.backend.steps_per_execution,
        scan_layers=recipe.backend.scan_layers,
    )
    optimizer.build(flow.trainable_variables)
    return flow


def _fit(recipe, flow, data, checkpoint, verbose):
    strategy = checkpoint.strategy
    callbacks = [checkpoint]
    if strategy.is_chief and importlib.util.find_spec("tensorflow"):  # on every backend
        callbacks.append(keras.callbacks.TensorBoard(checkpoint.folder / "tensorboard"))
    if checkpoint.averages is not None:
        callbacks.append(checkpoint.averages)
    steps = checkpoint.steps_per_epoch
    validation = Batches(data.validation, recipe.training.batch_size, shard=strategy.shard)
    try:
        with strategy.scope():
            flow.fit(
                _batches(recipe, data, strategy, checkpoint.step),
                initial_epoch=checkpoint.epoch,
                epochs=recipe.training.epochs,
                steps_per_epoch=steps,
                validation_data=validation,
                callbacks=callbacks,
                verbose=verbose,
            )
    except FloatingPointError as error:
        if strategy.shard.processes > 1:
            raise  # no process has the whole batch
        first_step = checkpoint.step
        checkpoint.restore(flow)
        batches = _batches(recipe, data, strategy, first_step)
        explanation = explain(flow, (batches[i] for i in range(steps)), first_step)
        raise FloatingPointError(
            f"{explanation or error}. {checkpoint.path} holds the model after epoch "
            f"{checkpoint.epoch}"
        ) from error


def _batches(recipe, data, strategy, first_step=0):
    batch_size = recipe.training.batch_size
    try:
        return Batches(data.train, batch_size, recipe.seed, first_step, strategy.shard)
    except ValueError as error:
        raise ValueError(f"{recipe.name}: training.batch_size: {error}") from error


def versions() -> dict[str, str]:
    """Of the packages and the machine that train, for a run's facts."""
    backend = keras.backend.backend()
    packages = ("tfflows", "keras", backend, "numpy")
    found = {package: version(package) for package in packages}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {**found, "python": platform.python_version(), "machine": machine}
