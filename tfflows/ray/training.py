"""Recipes trained by workers of Ray Train, which end as one process does."""

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import keras

from tfflows.backend.processes import leave_processes
from tfflows.ray.session import check_fit, import_ray, session, worker_environment
from tfflows.runs import Recipe, join_processes, make_recipe, read_recipe, run_recipe
from tfflows.runs.folder import RunFolder
from tfflows.saving import load_flow
from tfflows.utils.checks import check_positive
from tfflows.utils.errors import first_paragraph
from tfflows.utils.remote import refuse_remote
from tfflows.zoo import find_recipe

_STRATEGIES = {"tensorflow": "multi_worker", "jax": "data_parallel"}


def train(
    recipe: Recipe | str | Path,
    out: str | Path | None = None,
    num_workers: int = 2,
    *,
    resume: bool = False,
    max_failures: int = 0,
    cpus_per_worker: int = 1,
    gpus_per_worker: float = 0,
    address: str | None = None,
    verbose: int | str = 0,
) -> Path:
    """Train a recipe by workers of Ray Train, each of which reads its part of every batch.

    The steps, and so the losses and the weights, are those of one process, within rounding:
    `training.batch_size` is that of all workers together. On TensorFlow the workers are those of a
    MultiWorkerMirroredStrategy, on JAX devices of a `keras.distribution.DataParallel`.

    Example:
        best = tfflows.ray.train("realnvp-toys", "/shared/runs/toys", num_workers=4)

    Args:
        recipe: a recipe, the path of one, or the name of one that ships with tfflows.
        out: the run's folder, which all machines must see; default runs/NAME.
        num_workers: processes.
        resume: whether to go on with the run in the folder, or begin it.
        max_failures: how many times to start the workers anew after one died; they go on from
            the last checkpoint.
        cpus_per_worker: cores of each.
        gpus_per_worker: GPUs of each.
        address: of a cluster; None takes the session of Ray that there is, or this machine.
        verbose: as in `keras.Model.fit`, of the first worker.

    Returns:
        The path of best.keras.

    Raises:
        ValueError, FileExistsError, FloatingPointError: as `tfflows.runs.run_recipe`; the workers
            do not divide the batch size, or there are fewer cores or GPUs than asked for.
        RuntimeError: a worker died more often than `max_failures`.
        ImportError: Ray is not installed.
    """
    import_ray()
    check_positive(num_workers=num_workers, cpus_per_worker=cpus_per_worker)
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(find_recipe(str(recipe)))
    folder = Path("runs") / recipe.name if out is None else Path(out)
    refuse_remote("The folder of a run", folder)
    content = _with_strategy(recipe)
    if recipe.training.batch_size % num_workers:
        raise ValueError(
            f"Expected batch_size to be a multiple of {num_workers}, the number of workers. "
            f"Received: {recipe.training.batch_size}"
        )
    RunFolder(folder).check(make_recipe(content), resume)
    config = {
        "recipe": content,
        "folder": str(folder.absolute()),
        "resume": resume,
        "verbose": verbose,
    }
    with session(address) as ray:
        check_fit(ray, "workers", num_workers, cpus_per_worker, gpus_per_worker)
        _fit(config, num_workers, cpus_per_worker, gpus_per_worker, max_failures)
    return folder / "best.keras"


def _with_strategy(recipe) -> dict[str, Any]:
    content = recipe.model_dump(exclude_unset=True)
    strategy = _STRATEGIES[keras.backend.backend()]
    backend = {**content.get("backend", {}), "strategy": strategy}
    if strategy == "multi_worker":  # under which XLA fails
        backend["jit"] = False
    return {**content, "backend": backend}


def _fit(config, num_workers, cpus, gpus, max_failures):
    from ray.train import FailureConfig, RunConfig, ScalingConfig  # pyright: ignore[reportMissingImports]
    from ray.train.v2.api.exceptions import WorkerGroupError  # pyright: ignore[reportMissingImports]

    resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    # Ray Train has a folder for its reports, of which none are made.
    with tempfile.TemporaryDirectory() as storage:
        trainer = _trainer_class()(
            _train_worker,
            train_loop_config=config,
            scaling_config=ScalingConfig(
                num_workers=num_workers, use_gpu=gpus > 0, resources_per_worker=resources
            ),
            run_config=RunConfig(
                storage_path=storage,
                failure_config=FailureConfig(max_failures=max_failures),
                worker_runtime_env={"env_vars": worker_environment(cpus)},
            ),
        )
        try:
            trainer.fit()
        except WorkerGroupError as error:
            raise _cause(error) from error


def _trainer_class():
    if keras.backend.backend() == "tensorflow":
        from ray.train.tensorflow import TensorflowTrainer  # pyright: ignore[reportMissingImports]

        return TensorflowTrainer  # which sets TF_CONFIG
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer  # pyright: ignore[reportMissingImports]

    return DataParallelTrainer


def _cause(error):
    """What a worker raised, of a kind that `run_recipe` has; or that it died."""
    failures = [getattr(failure, "cause", failure) for failure in error.worker_failures.values()]
    for failure in failures:
        if isinstance(failure, ValueError | OSError | FloatingPointError):
            return failure
    return RuntimeError(f"A worker ended: {first_paragraph(failures[0])}")


def _train_worker(config):
    import ray.train  # pyright: ignore[reportMissingImports]
    from ray.train.collective import broadcast_from_rank_zero  # pyright: ignore[reportMissingImports]

    context = ray.train.get_context()
    rank, count = context.get_world_rank(), context.get_world_size()
    folder = Path(config["folder"])
    # What the first worker finds, before any has begun: after a failure there is a run already.
    is_begun = (folder / "last.keras").exists()
    address, is_begun = broadcast_from_rank_zero((_free_address(), is_begun))
    if keras.backend.backend() == "jax":  # on TensorFlow Ray Train sets TF_CONFIG
        values = {"JOB_ADDRESSES": address, "NUM_PROCESSES": count, "PROCESS_ID": rank}
        variables = {f"KERAS_DISTRIBUTION_{key}": str(value) for key, value in values.items()}
        os.environ.update(variables)
    join_processes()
    recipe = make_recipe(config["recipe"])
    weights = recipe.model.weights
    weights = None if weights is None or is_begun else load_flow(weights)
    resume = config["resume"] or is_begun
    run_recipe(recipe, folder, resume, config["verbose"], weights=weights)
    leave_processes()


def _free_address():
    """This machine's address, with a port that is free."""
    from ray.util import get_node_ip_address  # pyright: ignore[reportMissingImports]

    with socket.socket() as listener:
        listener.bind(("", 0))
        return f"{get_node_ip_address()}:{listener.getsockname()[1]}"
