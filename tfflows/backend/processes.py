"""Several processes that train one model: joining them, and values that all take from the first.

TensorFlow reads their addresses from TF_CONFIG, JAX from Keras' own KERAS_DISTRIBUTION_...
variables.
"""

import json
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from tfflows.utils.damage import one_line
from tfflows.utils.rendezvous import wait_for_all

if TYPE_CHECKING:
    import tensorflow as tf

JOIN_SECONDS = 300.0
_KERAS_VARIABLES = [
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
]
TF_CONFIG_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_joined: "tf.distribute.MultiWorkerMirroredStrategy | None" = None


def join_processes(timeout: float = JOIN_SECONDS) -> None:
    """Connect this process with the others of its job, which the environment names.

    It returns when all have come, and at once where the environment names no others or the process
    has joined before. A backend connects processes only before it computes: call it first,
    before a recipe is read or a layer is made. On TensorFlow they are those of TF_CONFIG, of which
    one is the chief or else worker 0:

        TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
                    "task": {"type": "worker", "index": 0}}'

    On JAX they are those of the variables that `keras.distribution.initialize` reads, where the
    address is that of process 0 or a list of all:

        KERAS_DISTRIBUTION_JOB_ADDRESSES=10.0.0.1:2222
        KERAS_DISTRIBUTION_NUM_PROCESSES=2  KERAS_DISTRIBUTION_PROCESS_ID=0

    Args:
        timeout: seconds to wait for the others.

    Raises:
        ValueError: a variable is missing, or has another form.
        TimeoutError: a process did not come; it is named.
        RuntimeError: the backend has computed before.

    Example:
        tfflows.runs.join_processes()
        best = run_recipe(read_recipe("recipe.yaml"), "runs/mine")
    """
    if process_count() > 1:
        return
    if keras.backend.backend() == "tensorflow":
        _join_tensorflow(timeout)
    else:
        _join_jax(timeout)


def process_count() -> int:
    """Number of joined processes."""
    if keras.backend.backend() == "tensorflow":
        return 1 if _joined is None else len(_read_tf_config()[0])
    import jax

    if not jax.distributed.is_initialized():
        return 1  # without asking for the devices, after which none could join
    return jax.process_count()


def process_index() -> int:
    """Number of this process among those that joined; 0 is the chief."""
    if process_count() == 1:
        return 0
    if keras.backend.backend() == "tensorflow":
        return _read_tf_config()[1]
    import jax

    return jax.process_index()


def leave_processes() -> int:
    """Let go of the other processes when all have done their part; the index of this one.

    JAX's would wait for one another at their ends, and fail where one computes for long alone.
    """
    index = process_index()
    if keras.backend.backend() == "jax" and process_count() > 1:
        import jax

        jax.distributed.shutdown()
    return index


def lost_process(error: BaseException) -> str | None:
    """What an error, or one that it came from, says of another process that has ended or cannot be
    reached; else None.
    """
    if process_count() == 1:
        return None
    said = _said_of_others(error)
    cause = error.__cause__ or error.__context__
    return said if said is not None or cause is None else lost_process(cause)


def _said_of_others(error):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        kinds = tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError
        if _joined is None or not isinstance(error, kinds):
            return None
        resolver = _joined.cluster_resolver
        own = f"{resolver.task_type} {resolver.task_id}"
        found = re.findall(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)", str(error))
        tasks = dict.fromkeys(f"{kind} {index}" for kind, index in found)
        return ", ".join(task for task in tasks if task != own) or one_line(error)
    words = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED")
    return one_line(error) if any(word in str(error) for word in words) else None


def joined_strategy() -> "tf.distribute.MultiWorkerMirroredStrategy | None":
    """TensorFlow's strategy over the joined processes."""
    return _joined


def _join_tensorflow(timeout):
    global _joined
    addresses, index = _read_tf_config()
    if len(addresses) < 2:
        return
    import tensorflow as tf

    wait_for_all(addresses[0], len(addresses), index, timeout)
    try:
        _joined = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise RuntimeError(_too_late("TF_CONFIG")) from error


def _too_late(variable):
    return (
        f"{variable} names several processes, which must join before the backend computes: call "
        "tfflows.runs.join_processes() first, before a recipe is read or a layer is made"
    )


def _read_tf_config() -> tuple[list[str], int]:
    """Addresses of the workers, the chief's first, and the index of this one; none without it.

    Raises:
        ValueError: TF_CONFIG has another form.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return [], 0
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {})
        addresses = {job: list(cluster.get(job, [])) for job in ("chief", "worker")}
        kind, index = task.get("type"), int(task.get("index", -1))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"TF_CONFIG must be such as {TF_CONFIG_EXAMPLE}: {error}") from error
    if not any(addresses.values()):
        if cluster:
            raise ValueError(
                f"TF_CONFIG must name workers, as in {TF_CONFIG_EXAMPLE}. Received a cluster of "
                f"{sorted(cluster)}"
            )
        return [], 0
    if kind not in addresses or not 0 <= index < len(addresses[kind]):
        raise ValueError(
            "TF_CONFIG must give this process the type and index of one of "
            f"{ {job: len(each) for job, each in addresses.items() if each} }. "
            f"Received: type {kind!r}, index {index}"
        )
    everyone = [*addresses["chief"], *addresses["worker"]]
    for address in everyone:
        _check_address("TF_CONFIG", address)
    return everyone, index + (len(addresses["chief"]) if kind == "worker" else 0)


def _check_address(variable, address):
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{variable} must have addresses host:port. Received: {address!r}")


def _join_jax(timeout):
    given = [os.environ.get(name) for name in _KERAS_VARIABLES]
    if not any(given):
        return
    if not all(given):
        missing = [name for name, value in zip(_KERAS_VARIABLES, given, strict=True) if not value]
        raise ValueError(
            f"{', '.join(_KERAS_VARIABLES)} must be set together. Missing: {', '.join(missing)}"
        )
    addresses, count, index = _parsed(*given)
    if count == 1:
        return
    wait_for_all(addresses[0], count, index, timeout)
    import jax

    try:
        jax.distributed.initialize(addresses[0], count, index, initialization_timeout=int(timeout))
    except RuntimeError as error:
        if "must be called before" not in str(error):
            raise
        raise RuntimeError(_too_late(_KERAS_VARIABLES[0])) from error


def _parsed(addresses, count, index):
    for name, value in zip(_KERAS_VARIABLES[1:], (count, index), strict=True):
        if not value.isdecimal():
            raise ValueError(f"{name} must be an integer from 0. Received: {value!r}")
    addresses, count, index = addresses.split(","), int(count), int(index)
    if index >= count or len(addresses) not in (1, count):
        raise ValueError(
            f"Expected KERAS_DISTRIBUTION_PROCESS_ID below KERAS_DISTRIBUTION_NUM_PROCESSES, and "
            f"the address of process 0 or of all. Received: process {index} of {count}, "
            f"{len(addresses)} addresses"
        )
    for address in addresses:
        _check_address(_KERAS_VARIABLES[0], address)
    return addresses, count, index


def from_first_process(
    arrays: Sequence[np.ndarray], strategy: "tf.distribute.Strategy | None" = None
) -> list[np.ndarray]:
    """The arrays of process 0, in all processes, which call this with arrays of the same shapes.

    Args:
        arrays: of numbers.
        strategy: TensorFlow's strategy over the processes; None takes that of `join_processes`.
    """
    if keras.backend.backend() == "jax":
        if process_count() == 1:
            return list(arrays)
        from jax.experimental import multihost_utils

        values = multihost_utils.broadcast_one_to_all(list(arrays))
    else:
        strategy = strategy or _joined
        if strategy is None:
            return list(arrays)
        values = _from_first_worker(arrays, strategy)
    return [np.asarray(v, dtype=each.dtype) for v, each in zip(values, arrays, strict=True)]


def _from_first_worker(arrays, strategy):
    """By a sum to which all others add zeros; float64 holds every integer of 32 bits."""
    import tensorflow as tf

    is_first = _is_first(strategy.cluster_resolver)
    sent = [tf.cast(each if is_first else np.zeros_like(each), "float64") for each in arrays]
    with strategy.scope():
        return [strategy.reduce("SUM", each, axis=None).numpy() for each in sent]


def _is_first(resolver):
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)


def text_from_first_process(text: str) -> str:
    """The text of process 0, in all processes."""
    letters = np.frombuffer(text.encode(), "uint8").astype("int32")
    (length,) = from_first_process([np.asarray([len(letters)], "int32")])
    sent = np.resize(letters, int(length[0]))
    return from_first_process([sent])[0].astype("uint8").tobytes().decode()


def take_from_first_process(variables: Sequence[keras.Variable]) -> None:
    """Assign the values that variables have in the first of several processes in all of them."""
    strategy = None
    if keras.backend.backend() == "tensorflow":
        strategy = getattr(variables[0].value, "distribute_strategy", None) if variables else None
        resolver = getattr(strategy, "cluster_resolver", None)
        if resolver is None or not resolver.cluster_spec().as_dict():
            return
    elif process_count() == 1:
        return
    values = [keras.ops.convert_to_numpy(variable) for variable in variables]
    for variable, value in zip(variables, from_first_process(values, strategy), strict=True):
        variable.assign(value)
