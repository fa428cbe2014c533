"""Where the steps of a run are computed: `backend.strategy` of a recipe, a class each.

| name | backend | devices |
|---|---|---|
| null | both | one |
| mirrored | TensorFlow | all of this host |
| multi_worker | TensorFlow | all of the workers in TF_CONFIG |
| data_parallel | JAX | all of this process, or of those in KERAS_DISTRIBUTION_... |
| model_parallel | JAX | all of this process, which share kernels instead of batches |
"""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfflows.backend import processes
from tfflows.datasets.batches import Shard


class Strategy:
    """One device, and the base of the others.

    Attributes:
        shard: the part of each batch that this process reads.
    """

    name: str | None = None
    backend: str | None = None  # None for both

    def __init__(self):
        self.shard = Shard()

    @property
    def is_chief(self) -> bool:
        """Whether this process keeps the folder of the run."""
        return self.shard.index == 0

    def scope(self) -> contextlib.AbstractContextManager:
        """Where a flow is made and trained."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def naming_lost_processes(self) -> Iterator[None]:
        """Say what happened where another process ends.

        Raises:
            RuntimeError: another process has ended, or cannot be reached.
        """
        try:
            yield
        except Exception as error:
            lost = processes.lost_process(error)
            if lost is None:
                raise
            raise RuntimeError(
                f"Process {self.shard.index} of {self.shard.processes} stopped, because another "
                f"one has ended or cannot be reached: {lost}. Start all of them again "
                "with --resume"
            ) from error

    def by_chief(self, function: Callable[[], Any]) -> Any:
        """What a function returns in the chief, in every process.

        Args:
            function: what only the chief calls; its result is of JSON.

        Raises:
            RuntimeError: the function raised an error in the chief, which raises that one.
        """
        answer, error = {}, None
        if self.is_chief:
            try:
                answer["result"] = function()
            except Exception as caught:
                answer["error"] = f"{type(caught).__name__}: {caught}"
                error = caught
        if self.shard.processes > 1:
            answer = json.loads(processes.text_from_first_process(json.dumps(answer)))
        if error is not None:
            raise error
        if "error" in answer:
            raise RuntimeError(f"The first process stopped the run by {answer['error']}")
        return answer["result"]


class Mirrored(Strategy):
    """TensorFlow's MirroredStrategy: all devices of this host, each a part of every batch."""

    name = "mirrored"
    backend = "tensorflow"

    def __init__(self):
        super().__init__()
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        _warn_of_one(self.name, [device.name for device in devices])
        self._strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        self.shard = Shard(devices=self._strategy.num_replicas_in_sync)

    def scope(self):
        return self._strategy.scope()


class MultiWorker(Strategy):
    """TensorFlow's MultiWorkerMirroredStrategy: the devices of all workers in TF_CONFIG."""

    name = "multi_worker"
    backend = "tensorflow"

    def __init__(self):
        super().__init__()
        processes.join_processes()
        strategy = processes.joined_strategy()
        if strategy is None:
            raise ValueError(
                "backend.strategy: multi_worker expects TF_CONFIG to name two workers or more, "
                f"such as {processes.TF_CONFIG_EXAMPLE}; mirrored is for one host"
            )
        self._strategy = strategy
        self.shard = Shard(
            processes.process_index(), processes.process_count(), strategy.num_replicas_in_sync
        )

    def scope(self):
        return self._strategy.scope()


class DataParallel(Strategy):
    """Keras' DataParallel: the devices of all JAX processes, each a part of every batch."""

    name = "data_parallel"
    backend = "jax"

    def __init__(self):
        super().__init__()
        processes.join_processes()
        import jax

        self.shard = Shard(jax.process_index(), jax.process_count(), jax.device_count())
        _warn_of_one(self.name, jax.devices())
        # Batches are read by their shard already.
        self._distribution = keras.distribution.DataParallel(auto_shard_dataset=False)

    def scope(self):
        return self._distribution.scope()


class ModelParallel(Strategy):
    """Each device of this process holds some columns of the kernels, and sees whole batches."""

    name = "model_parallel"
    backend = "jax"

    def __init__(self):
        super().__init__()
        if processes.process_count() > 1:
            raise ValueError(
                "backend.strategy: model_parallel shares kernels among the devices of one process. "
                f"Received: {processes.process_count()} processes"
            )
        devices = keras.distribution.list_devices()
        _warn_of_one(self.name, devices)
        self._distribution = _KernelsByColumns(devices)

    def scope(self):
        return self._distribution.scope()


class _KernelsByColumns(keras.distribution.ModelParallel):
    """Splits every matrix whose columns the devices divide, and its optimizer's averages with it;
    the rest is the same on all.
    """

    def __init__(self, devices):
        mesh = keras.distribution.DeviceMesh((1, len(devices)), ("batch", "model"), devices)
        layouts = keras.distribution.LayoutMap(mesh)
        super().__init__(layout_map=layouts, batch_dim_name="batch", auto_shard_dataset=False)

    def get_variable_layout(self, variable):
        axes: list = [None] * len(variable.shape)
        if len(axes) == 2 and variable.shape[1] % self.device_mesh.shape[1] == 0:
            axes[1] = "model"
        return keras.distribution.TensorLayout(axes, self.device_mesh)


_STRATEGIES = {each.name: each for each in (Mirrored, MultiWorker, DataParallel, ModelParallel)}


def make_strategy(name: str | None) -> Strategy:
    """The strategy of a recipe's `backend.strategy`; those of several processes join them.

    Raises:
        ValueError: it is one of the other backend, or the environment does not fit it.
        TimeoutError, RuntimeError: as `join_processes`.
    """
    if name is None:
        _refuse_processes()
        return Strategy()
    strategy, backend = _STRATEGIES[name], keras.backend.backend()
    if strategy.backend != backend:
        others = [str(key) for key, each in _STRATEGIES.items() if each.backend == backend]
        raise ValueError(
            f"backend.strategy: {name} is for the Keras backend {strategy.backend}. "
            f"Received: the backend {backend}, which has {', '.join(others)}"
        )
    if strategy is Mirrored:
        _refuse_processes()
    return strategy()


def _refuse_processes():
    if processes.process_count() > 1:
        raise ValueError(
            f"This is process {processes.process_index()} of {processes.process_count()}, which "
            "would all train the same: set backend.strategy to multi_worker on TensorFlow, and to "
            "data_parallel on JAX, or leave TF_CONFIG and KERAS_DISTRIBUTION_... unset"
        )


def _warn_of_one(name, devices):
    if len(devices) == 1:
        warnings.warn(
            f"backend.strategy: {name} has found one device, {devices[0]}, and trains as it "
            "would without a strategy",
            stacklevel=4,
        )
